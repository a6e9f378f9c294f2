"""Report feeds as assets: the file of each exposure with `meta.feed`, and each delivery of the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from ingestion.due import is_working_day
from orchestration.automation import after_update
from orchestration.failures import plain_failures
from orchestration.models import PUBLICATION
from warehouse.errors import OutgoingError, WarehouseError
from warehouse.feeds.declaration import Delivery, Report, feed_exposures, report_of
from warehouse.outgoing import outbox_folder

DELIVER = "deliver_feeds"  # job
DAY = "delivery_day"  # tag of a run that delivers by calendar
LONDON = ZoneInfo("Europe/London")


def build_feeds(manifest: dict[str, Any]) -> list[dg.AssetsDefinition]:
    """One asset per feed, which is written after each publication of its report's set."""
    return [_build_feed(report) for report in _reports(manifest)]


def build_deliveries(manifest: dict[str, Any]) -> tuple[list[dg.AssetsDefinition], dg.ScheduleDefinition]:
    """One asset per recipient of a feed, and the schedule of those that are delivered on a working day of the month."""
    pairs = [(report, delivery) for report in _reports(manifest) for delivery in report.feed.deliver]
    days = {_delivery_key(*pair): day for pair in pairs if (day := pair[1].working_day)}
    return [_build_delivery(*pair) for pair in pairs], _build_schedule(days)


def working_day_of_month(day: date) -> int | None:
    """The number of a working day in its month, from 1, by the bank holidays of England; None for other days."""
    days = [day.replace(day=1) + timedelta(number) for number in range(day.day)]
    worked = [each for each in days if is_working_day(each)]
    return len(worked) if day in worked else None


def _reports(manifest: dict[str, Any]) -> list[Report]:
    try:
        return [report_of(manifest, exposure) for exposure in feed_exposures(manifest).values()]
    except WarehouseError as error:
        raise dg.DagsterInvalidDefinitionError(str(error)) from None


def _build_feed(report: Report) -> dg.AssetsDefinition:
    publication = dg.AssetKey([PUBLICATION, report.publish_set])

    @dg.asset(
        key=_feed_key(report),
        deps=[dg.AssetKey([report.publish_set, report.table]), publication],
        description=report.description,
        metadata=report.feed.model_dump(exclude_defaults=True),
        kinds={report.feed.format.partition("_")[0]},
        automation_condition=after_update(publication),
        group_name=_group(report),
        owners=[report.email],
    )
    @plain_failures
    def write() -> dg.MaterializeResult[None]:
        from warehouse.feeds.files import write_report

        file = outbox_folder(report.publish_set) / report.feed.file
        with _withheld(report):
            rows = write_report(report, file)
        return dg.MaterializeResult(metadata={"file": dg.MetadataValue.path(file), "rows": rows})

    return write


def _build_delivery(report: Report, delivery: Delivery) -> dg.AssetsDefinition:
    when = f"on working day {delivery.working_day} of the month" if delivery.working_day else "after each publication"

    @dg.asset(
        key=_delivery_key(report, delivery),
        deps=[_feed_key(report)],
        description=f"{report.title}, delivered to {delivery.to} {when}.",
        metadata=delivery.model_dump(exclude_defaults=True),
        automation_condition=None if delivery.working_day else after_update(_feed_key(report)),
        group_name=_group(report),
        owners=[report.email],
    )
    @plain_failures
    def send(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from warehouse.feeds.delivery import deliver  # the libraries of the protocols take a second to import

        with _withheld(report):
            manifest = deliver(report, delivery, context.run.tags.get(DAY, ""))
        return dg.MaterializeResult(metadata=manifest or {"delivered": "before, for the same publication or day"})

    return send


def _build_schedule(days: dict[dg.AssetKey, int]) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="deliver_by_calendar",
        job_name=DELIVER,
        cron_schedule="0 8 * * *",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Delivers report feeds on their working day of the month.",
    )
    def deliver_by_calendar(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(LONDON).date()
        number = working_day_of_month(today)
        due = [key for key, day in days.items() if day == number]
        if not due:
            return dg.SkipReason("No feed is delivered on this day.")
        return dg.RunRequest(run_key=str(today), asset_selection=due, tags={DAY: str(today)})

    return deliver_by_calendar


def _feed_key(report: Report) -> dg.AssetKey:
    return dg.AssetKey(["feed", report.name])


def _delivery_key(report: Report, delivery: Delivery) -> dg.AssetKey:
    return dg.AssetKey(["delivery", report.name, delivery.to])


def _group(report: Report) -> str:
    return f"5_delivered/{report.publish_set}"


@contextmanager
def _withheld(report: Report) -> Iterator[None]:
    try:
        yield
    except OutgoingError as found:
        raise dg.Failure(
            description=f"{report.feed.file} was not written: it would contain personal data. {found}. Correct the "
            "values at their source, or withhold them in the report's model.",
            allow_retries=False,
        ) from None
