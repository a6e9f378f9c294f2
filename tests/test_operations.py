"""How the warehouse runs: what the publish set `operations` shows equals a count of the records without dbt."""

import csv
from collections import defaultdict
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from tests.reports import cells, difference, published
from tests.support import ROOT, Warehouse, manifest
from warehouse.alerts import KINDS, LATE

LONDON = ZoneInfo("Europe/London")
HOUR = timedelta(hours=1)
REPORT = "operations.rpt_publish_set_status"
PERSON = "wrenfield"
BUILDS = """
    insert into governance.builds (publish_set, schema_name, opened_at, raw_tables, tested, dropped_at) values
        ('libraries', 'libraries__b1001', '2025-10-20 17:00Z', '{raw_koha.loans}', '{"model_seconds": 12.5}', now()),
        ('libraries', 'libraries__b1002', '2025-10-25 05:15Z', '{raw_koha.loans}', null, now()),
        ('libraries', 'libraries__b1003', '2025-10-26 06:15Z', '{raw_koha.loans}', '{"model_seconds": 14}', now())
    returning build_id
"""
OUTCOMES = """
    insert into governance.publications (publish_set, action, decided_at, decided_by, build_id, models, tests_passed)
    values
        ('libraries', 'publish', '2025-10-20 17:01Z', %(person)s, %(first)s, 7, 40),
        ('libraries', 'refuse', '2025-10-25 05:18Z', %(person)s, %(second)s, 7, 39),
        ('libraries', 'publish', '2025-10-26 06:17Z', %(person)s, %(third)s, 7, 40)
"""
ALERTS = """
    insert into governance.alerts
        (kind, subject, began_at, resolved_at, last_seen_at, occurrences, occurrence, what, sets, reports, run_id,
         undelivered)
    select a.kind, a.subject, a.began_at, a.resolved_at, now(), 1, '', %(person)s, a.sets, '{}', '', '{}' from (values
        ('publication_refused', 'libraries', '2025-10-25 05:18Z'::timestamptz, '2025-10-26 06:17Z'::timestamptz,
         '{libraries}'::text[]),
        ('load_failed', 'raw_koha', '2025-10-25 22:30Z', '2025-10-26 08:00Z', '{libraries,quality}'),
        ('disk_full', '/home/' || %(person)s, '2025-10-22 08:00Z', '2025-10-23 08:00Z', '{libraries}'),
        ('data_late', 'raw_koha', now() - interval '90 minutes', null, '{libraries}')
    ) as a (kind, subject, began_at, resolved_at, sets)
"""


def test_the_list_of_kinds_of_problem_is_that_of_the_alerts() -> None:
    with (ROOT / "seeds/alert_kinds.csv").open(encoding="utf-8") as file:
        listed = {row["kind"]: (row["title"], row["effect"]) for row in csv.DictReader(file)}
    assert {name: (kind.title, kind.effect) for name, kind in KINDS.items()}.items() <= listed.items()


def local(moment: datetime) -> datetime:
    return moment.astimezone(LONDON)


def late_hours(county: Warehouse, now: datetime) -> dict[tuple[str, date], tuple[float, float]]:
    """Return {(set, local day): (hours since the first publication, late hours)}, counted alert by alert."""
    first = dict(county.sql("select publish_set, min(decided_at) from governance.publications group by 1"))
    periods = defaultdict(list)
    for kind, began, ended, sets in county.sql("select kind, began_at, resolved_at, sets from governance.alerts"):
        for name in sets if KINDS[kind].effect == LATE else ():
            periods[name].append((began, ended or now))
    found = {}
    for name, began in first.items():
        day = local(began).date()
        while day <= local(now).date():
            midnights = [datetime.combine(day + timedelta(n), time(), LONDON).astimezone(UTC) for n in (0, 1)]
            start, end = max(midnights[0], began), min(midnights[1], now)
            moments = sorted({start, end, *(m for period in periods[name] for m in period if start < m < end)})
            late = [
                after - before
                for before, after in pairwise(moments)
                if any(left <= before and after <= right for left, right in periods[name])
            ]
            found[name, day] = ((end - start) / HOUR, sum(late, timedelta()) / HOUR)
            day += timedelta(1)
    return found


def test_history_equals_a_count_of_the_records_and_names_nobody(county: Warehouse) -> None:
    from warehouse.metrics import Metrics, semantic_manifest

    county.sql("update governance.publications set decided_by = %s", (PERSON,))
    places = ("first", "second", "third")
    builds = {place: number for place, (number,) in zip(places, county.sql(BUILDS), strict=True)}
    county.sql(OUTCOMES, builds | {"person": PERSON})
    county.sql(ALERTS, {"person": PERSON})
    county.sql("insert into governance.build_tables values (%s, 'fct_loan_days', 1, 1, '5', 120)", (builds["first"],))
    assert "operations: published" in county.build("operations", upstream=False)
    now, reader = datetime.now(UTC), county.reader_url("pbi_operations")

    days = county.sql("select publish_set, date_day, counted_hours, late_hours from operations.fct_publish_set_days")
    expected = late_hours(county, now)
    assert {(name, day): (float(counted), float(late)) for name, day, counted, late in days} == {
        key: pytest.approx(hours, abs=0.05) for key, hours in expected.items()
    }
    assert expected["libraries", date(2025, 10, 26)] == pytest.approx((25, 9))
    assert len({name for name, _ in expected}) > 10

    month = (
        'select "Availability per cent", "Hours late", "Publications", "Refused builds", "Median build in seconds", '
        '"Longest build in seconds", "Work of the database in seconds", "Most rows" '
        f"from {REPORT} where \"Publish set\" = 'libraries' and \"Month\" = '2025-10-01'"
    )
    hours = [expected["libraries", date(2025, 10, day)] for day in range(20, 32)]
    counted, late = (sum(each) for each in zip(*hours, strict=True))
    assert [float(value) for value in county.sql(month, url=reader)[0]] == [
        *(pytest.approx(100 * (1 - late / counted), abs=0.01), pytest.approx(late, abs=0.06)),
        *(2, 1, 120, 180, 26.5, 120),
    ]

    with closing(psycopg2.connect(county.url)) as connection:
        metrics = Metrics(semantic_manifest(manifest()).replace("__next", ""), connection)
        columns = dict(published(manifest().to_dict(omit_none=False)))[REPORT]
        compared = list(cells(county, metrics, REPORT, columns))
    assert [line for cell in compared for line in difference(*cell)] == []
    assert len(compared) > 200

    loads = "select count(*), sum({}), sum(rows_read) from {}"
    assert county.sql(loads.format("rows_rejected", "operations.fct_loads"), url=reader) == county.sql(
        loads.format("rows_quarantined", "governance.load_audit")
    )
    tables = county.sql("select table_name from information_schema.tables where table_schema = 'operations'")
    for (table,) in tables:
        named = f'select count(*) from operations."{table}" as t where t::text ilike %s'
        assert county.sql(named, (f"%{PERSON}%",)) == [(0,)], table
    assert len(tables) >= 7
    as_at = "select data_up_to_date from operations.as_at where source_name = 'All sources'"
    assert county.sql(as_at, url=reader) == [(local(now).date(),)]
