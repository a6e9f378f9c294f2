"""When the data of a table are due, and up to which date it has data."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import StringConstraints

from ingestion.columns import Part

if TYPE_CHECKING:
    from govuk_bank_holidays.bank_holidays import BankHolidays


DAYS = {"every_day": "every day", "working_days": "on working days"}


class Target(NamedTuple):
    """A moment at which data were due, and the date that they should have reached."""

    at: datetime
    data_up_to: date


class Due(Part):
    """By when, and on which days, a table has data up to which date."""

    by: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    """Time of day, local time of the system, in quotation marks: "06:30"."""
    data_up_to: Literal["same_day", "day_before", "working_day_before"]
    """Date that the data have reached by then, seen from the day on which they are due."""
    days: Literal["every_day", "working_days"] = "every_day"
    """Days on which data are due; working days are those of England and Wales."""

    def last_target(self, now: datetime, time_zone: str) -> Target:
        """The last moment up to `now` (with a time zone) at which data were due."""
        zone = ZoneInfo(time_zone)
        day = now.astimezone(zone).date()
        while datetime.combine(day, time.fromisoformat(self.by), zone) > now or not self._is_due(day):
            day -= timedelta(days=1)
        reached = day if self.data_up_to == "same_day" else day - timedelta(days=1)
        while self.data_up_to == "working_day_before" and not is_working_day(reached):
            reached -= timedelta(days=1)
        return Target(datetime.combine(day, time.fromisoformat(self.by), zone), reached)

    def in_words(self) -> str:
        """Such as "by 06:30 on working days, data up to the day before"."""
        return f"by {self.by} {DAYS[self.days]}, data up to the {self.data_up_to.replace('_', ' ')}"

    def _is_due(self, day: date) -> bool:
        return self.days == "every_day" or is_working_day(day)


@cache
def _calendar() -> "BankHolidays":
    from govuk_bank_holidays.bank_holidays import BankHolidays  # imports an HTTP client

    return BankHolidays(use_cached_holidays=True)


def is_working_day(day: date) -> bool:
    """Whether the day is neither a weekend nor a bank holiday of England and Wales."""
    return bool(_calendar().is_work_day(day, division="england-and-wales"))


def moment_of(high_watermark: str, time_zone: str) -> datetime | None:
    """The moment (UTC) up to which a table has data, from its high watermark; None if that is not a date or time.

    A watermark is the latest value of the cursor, the time of the newest file, or the time of a full read.
    """
    with suppress(ValueError):
        moment = datetime.fromisoformat(high_watermark) if "-" in high_watermark[1:] else None
        if moment:
            return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
    return None
