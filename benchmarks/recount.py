"""Count published measures again from the source systems, by the official texts and without dbt.

Each function reads the systems of a demo county (databases, files, the API's data) and follows the text that it names,
not the warehouse's models. `tests/test_figures.py` compares the results with the published tables.
"""

import csv
import io
import json
import sqlite3
import zipfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import psycopg2.extras
from govuk_bank_holidays.bank_holidays import BankHolidays
from python_calamine import CalamineWorkbook

Row = dict[str, Any]
Figures = dict[Any, Any]
LONDON = ZoneInfo("Europe/London")
DIVISIONS = ("england-and-wales", "scotland", "northern-ireland")
SEEDS = Path(__file__).resolve().parents[1] / "seeds"
CENT = Decimal("0.01")


class Sources:
    """The systems of a demo county: the folder that holds them, and the URL of each database by its name."""

    def __init__(self, home: Path, database: Callable[[str], str]):
        self.home, self.database = home, database

    def table(self, database: str, name: str) -> list[Row]:
        with (
            closing(psycopg2.connect(self.database(database))) as connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute(f"select * from {name}")
            return [dict(row) for row in cursor]

    def files(self, pattern: str) -> Iterator[Row]:
        """The rows of CSV files of the landing folder."""
        for path in sorted((self.home / "landing").glob(pattern)):
            yield from csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))

    def zipped(self, pattern: str) -> Iterator[Row]:
        for path in sorted((self.home / "landing").glob(pattern)):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    yield from csv.DictReader(io.StringIO(archive.read(member).decode()))

    def sheet(self, pattern: str, name: str) -> Iterator[Row]:
        """The rows below the headings in the fourth row of a sheet of each workbook."""
        for path in sorted((self.home / "landing").glob(pattern)):
            _, _, _, headings, *rows = CalamineWorkbook.from_path(path).get_sheet_by_name(name).to_python()
            yield from (dict(zip(headings, row, strict=True)) for row in rows)

    def served(self, path: str) -> list[Row]:
        """The rows that the API serves under a path."""
        with closing(sqlite3.connect(f"file:{self.home / 'apis.sqlite'}?mode=ro", uri=True)) as connection:
            return [json.loads(row) for (row,) in connection.execute("select content from rows where path = ?", [path])]


@cache
def working_days(*divisions: str) -> list[date]:
    """Days from Monday to Friday that are no bank holiday in any of the divisions, from 2012 to 2028."""
    published = BankHolidays(use_cached_holidays=True)
    holidays = {holiday["date"] for each in divisions for holiday in published.get_holidays(division=each)}
    days = (date(2012, 1, 1) + timedelta(n) for n in range(366 * 17))
    return [day for day in days if day.weekday() < 5 and day not in holidays]


def working_days_between(start: date, end: date, *divisions: str) -> int:
    """Working days after `start`, up to `end`."""
    days = working_days(*divisions)
    return bisect_right(days, end) - bisect_right(days, start)


def nth_working_day(start: date, number: int, *divisions: str) -> date:
    """The day with this number, if the first working day after `start` is 1."""
    days = working_days(*divisions)
    return days[bisect_right(days, start) + number - 1]


def local_day(value: datetime | str | None) -> date | None:
    if value is None or isinstance(value, str):
        return date.fromisoformat(value[:10]) if value else None
    return value.date()  # the databases hold local times


def month(day: date) -> date:
    return day.replace(day=1)


def month_end(day: date) -> date:
    return month(month(day) + timedelta(31)) - timedelta(1)


def foi_requests(sources: Sources) -> Figures:
    """{request: (due date, in time)}: FOI Act 2000, s. 10; section 45 code; EIR 2004, regulations 5, 7 and 9."""
    rows, found = sources.served("dynamics/foi_requests"), {}
    latest = max(row["modifiedon"] for row in rows)
    as_at = datetime.fromisoformat(latest).astimezone(LONDON).date()
    for row in rows:
        names = ("received", "clarificationasked", "clarified", "feenotice", "feepaid", "answered")
        day = {name: local_day(row[f"{name}on"]) for name in names}
        stopped = (day["clarificationasked"] and not day["clarified"]) or (day["feenotice"] and not day["feepaid"])
        received = day["received"]
        start = max(received, day["clarified"] or received)
        allowed = 40 if row["extendedon"] else 20
        due = nth_working_day(start, allowed, *DIVISIONS)
        if day["feepaid"]:  # working days from the notice to the fee are disregarded: they are added at the end
            disregarded = working_days_between(day["feenotice"] - timedelta(1), day["feepaid"], *DIVISIONS)
            due = nth_working_day(start, allowed + disregarded, *DIVISIONS)
        in_time = None
        if row["outcome"] != "Withdrawn" and not (day["answered"] and day["answered"] < received):
            if day["answered"]:
                in_time = bool(stopped) or day["answered"] <= due
            elif not stopped and as_at > due:
                in_time = False
        found[row["reference"]] = (None if stopped else due, in_time)
    return found


def _payable(sources: Sources) -> Iterator[tuple[Row, date, date]]:
    """(invoice, last day of its 30 days, as-at date) of undisputed invoices: Procurement Act 2023, s. 68(2)."""
    rows = sources.table("procurement", "apinvoice")
    as_at = max(row["last_update"] for row in rows).date()
    for row in rows:
        if row["amount"] > 0 and row["dispute_flag"] == "N":
            first = max(row["arrival_date"], row["terms_date"] or row["arrival_date"])
            yield row, first + timedelta(29), as_at


def prompt_payment(sources: Sources) -> Figures:
    """{start of six months: (within 30 days, 31 to 60, 61 and more, due and not paid)}: Procurement Act 2023, s. 69."""
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row, last, as_at in _payable(sources):
        if (day := row["pay_date"]) is None:
            band, day = 3, last
            if as_at <= last:
                continue
        else:
            band = 0 if day <= last else 1 if day <= last + timedelta(30) else 2
        start = date(day.year, 4, 1) if 4 <= day.month <= 9 else date(day.year - (day.month < 4), 10, 1)
        found[start][band] += 1
    return {start: tuple(bands) for start, bands in found.items()}


def late_payment(sources: Sources) -> Figures:
    """Interest and compensation: Late Payment of Commercial Debts (Interest) Act 1998, s. 4 and 5A; SI 2002/1675."""
    with (SEEDS / "bank_of_england_base_rates.csv").open(encoding="utf-8") as file:
        rates = [(date.fromisoformat(row["first_date"]), Decimal(row["base_rate_pct"])) for row in csv.DictReader(file)]
    interest = compensation = Decimal(0)
    for row, last, as_at in _payable(sources):
        days = ((row["pay_date"] or as_at) - last).days
        if days > 0:
            late = last + timedelta(1)
            fixed = date(late.year, 6, 30) if late.month > 6 else date(late.year - 1, 12, 31)
            rate = 8 + next(rate for since, rate in reversed(rates) if since <= fixed)
            interest += (row["amount"] * rate / 100 * days / 365).quantize(CENT, ROUND_HALF_UP)
            compensation += 40 if row["amount"] < 1_000 else 70 if row["amount"] < 10_000 else 100
    return {"interest": interest, "compensation": compensation}


def invoices_entered_twice(sources: Sources) -> Figures:
    """{voucher: finding}: an invoice with the supplier, number and amount of an earlier one."""
    seen, found = set(), {}
    for row in sorted(sources.table("procurement", "apinvoice"), key=lambda row: row["voucher_no"]):
        content = row["apar_id"], row["ext_inv_ref"], row["amount"]
        if row["amount"] > 0 and content in seen:
            found[str(row["voucher_no"])] = "FIN04"
        seen.add(content)
    return found


def spend_over_500(sources: Sources) -> Figures:
    """Lines and pounds, payments and credit notes: Local Government Transparency Code 2015, paragraph 28.

    An item of expenditure is an invoice; lines to withheld payees are items of their own.
    """
    items: dict[Any, list[Decimal]] = defaultdict(list)
    for number, row in enumerate(sources.zipped("finance/*supplier-spend*.zip")):
        payee = number if "redacted" in row["BeneficiaryName"].lower() else row["BeneficiaryOtherID"]
        items[row["TransactionNumber"], payee, row["InvoiceNumber"]].append(Decimal(row["Amount"]))
    shown = [amounts for amounts in items.values() if abs(sum(amounts)) > 500]
    return {
        "lines": sum(map(len, shown)),
        "pounds": sum(map(sum, shown)),
        "credits": sum(amount < 0 for amounts in shown for amount in amounts),
    }


def known_children(sources: Sources) -> tuple[dict[int, int], date]:
    """{person record: child} without records of nobody, and the date of the latest change."""
    tables = [
        *("dim_person", "fact_contacts", "fact_referrals", "fact_single_assessment"),
        *("fact_cp_plan", "fact_cla", "fact_care_episodes", "fact_involvements"),
    ]
    changes = [row["updated_dttm"] for name in tables for row in sources.table("liquidlogic", name)]
    persons = sources.table("liquidlogic", "dim_person")
    # a merged record belongs to the record with its name and birth date
    named = {
        (row["forename"], row["surname"], row["birth_dttm"]): row["dim_person_id"]
        for row in persons
        if not row["duplicated_dttm"]
    }
    known = {
        row["dim_person_id"]: named.get((row["forename"], row["surname"], row["birth_dttm"]), row["dim_person_id"])
        if row["duplicated_dttm"]
        else row["dim_person_id"]
        for row in persons
    }
    return known, max(changes).date()


def looked_after(sources: Sources) -> Figures:
    """{month end: children}, without series of short breaks (V3, V4): DfE, Children looked after, methodology."""
    known, as_at = known_children(sources)
    found: dict[date, set[int]] = defaultdict(set)
    for row in sources.table("liquidlogic", "fact_care_episodes"):
        if row["ls_903_code"] in ("V3", "V4") or row["dim_person_id"] not in known:
            continue
        day = month_end(row["care_start_date"])
        while day <= as_at and (row["care_end_date"] is None or row["care_end_date"] > day):
            found[day].add(known[row["dim_person_id"]])
            day = month_end(day + timedelta(1))
    return {day: len(children) for day, children in found.items()}


def assessments(sources: Sources) -> Figures:
    """{month of completion: (in 45 working days, late)}: children in need census; Working Together.

    The first assessment of a referral begins with the referral, a later one with itself.
    """
    referred = {
        row["fact_referral_id"]: local_day(row["refrl_start_dttm"])
        for row in sources.table("liquidlogic", "fact_referrals")
    }
    by_referral: dict[int, list[Row]] = defaultdict(list)
    for row in sources.table("liquidlogic", "fact_single_assessment"):
        by_referral[row["fact_referral_id"]].append(row)
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for referral, rows in by_referral.items():
        rows.sort(key=lambda row: (row["start_dttm"], row["fact_single_assessment_id"]))
        for number, row in enumerate(rows):
            start = local_day(row["start_dttm"]) if number else referred.get(referral)
            done = local_day(row["completed_dttm"])
            if start and done and done >= start:
                found[month(done)][working_days_between(start, done, "england-and-wales") > 45] += 1
    return {day: tuple(counts) for day, counts in found.items()}


def rereferrals(sources: Sources) -> Figures:
    """{year: referrals within 12 months of an earlier day's referral of the child}: children in need census."""
    known, _ = known_children(sources)
    days: dict[int, list[date]] = defaultdict(list)
    for row in sources.table("liquidlogic", "fact_referrals"):
        if row["dim_person_id"] in known:
            days[known[row["dim_person_id"]]].append(local_day(row["refrl_start_dttm"]))
    found: Counter[int] = Counter()
    for each in days.values():
        for day in each:
            is_leap_day = (day.month, day.day) == (2, 29)
            since = day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)
            found[day.year] += any(since <= earlier < day for earlier in each)
    return dict(found)


def absence(sources: Sources) -> Figures:
    """{academic year: (enrolments, persistent absentees, severe absentees)} of pupils aged 5 to 15 on 31 August before.

    DfE, Pupil absence in schools in England: 10% and 50% of the enrolment's own possible sessions.
    """
    pupils = list(sources.files("education/pupils*.csv"))
    present = {row["former_upn"]: row["upn"] for row in pupils if row["former_upn"]}
    born = {row["upn"]: date.fromisoformat(row["date_of_birth"]) for row in pupils}
    school = {row["urn"]: row["predecessor_urn"] or row["urn"] for row in sources.files("education/schools*.csv")}
    sessions: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for row in sources.files("education/attendance*.csv"):
        monday = date.fromisoformat(row["week_commencing"])
        start = monday.year - (monday.month < 9)
        upn = present.get(row["upn"], row["upn"])
        at = born.get(upn)
        if at is None:
            continue
        age = start - at.year - ((at.month, at.day) > (8, 31))
        if 5 <= age <= 15:
            number = int(row["sessions"])
            possible = row["session_code"] in ("/\\", "L", "I", "M", "C", "G", "N", "O")
            attended = row["session_code"] in ("/\\", "L")
            each = sessions[f"{start}/{(start + 1) % 100:02d}", upn, school[row["urn"]]]
            each[0] += number * possible
            each[1] += number * attended
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (year, _, _), (possible, attended) in sessions.items():
        if possible:
            found[year][0] += 1
            found[year][1] += 10 * (possible - attended) >= possible
            found[year][2] += 2 * (possible - attended) >= possible
    return {year: tuple(counts) for year, counts in found.items()}


def posts_of_months(sources: Sources) -> dict[tuple[date, str], list[Row]]:
    """{(month end, employee): posts that did not end in an earlier month}."""
    found = defaultdict(list)
    for row in sources.sheet("hr/itrent_*.xlsx", "Employees"):
        if not row["Leaving Date"] or row["Leaving Date"] >= month(row["Extract Date"]):
            found[row["Extract Date"], row["Employee Number"]].append(row)
    return found


def full_time_equivalent(posts: list[Row]) -> float:
    """Full-time equivalent of an employee; a post over 1 counts as 1, and all posts together count at most 1."""
    return min(1.0, sum(min(1.0, float(post["FTE"])) for post in posts))


def is_employed(day: date, posts: list[Row]) -> bool:
    return any(not post["Leaving Date"] or post["Leaving Date"] > day for post in posts)


def fte(sources: Sources) -> Figures:
    """{month end: full-time equivalent of the people employed on that day}."""
    found: dict[date, float] = defaultdict(float)
    for (day, _), posts in posts_of_months(sources).items():
        found[day] += full_time_equivalent(posts) if is_employed(day, posts) else 0
    return {day: round(total, 2) for day, total in found.items()}


def days_lost_per_fte(sources: Sources) -> Figures:
    """{month end: working days lost to sickness in 12 months, times FTE, per mean FTE}: Best Value indicator 12."""
    posts, latest = posts_of_months(sources), {}
    for row in sources.sheet("hr/itrent_*.xlsx", "Absence"):
        latest[row["Absence Ref"]] = row  # files are in order of months
    lost: dict[date, float] = defaultdict(float)
    worked = set(working_days("england-and-wales"))
    for row in latest.values():
        day, last = row["First Day"], row["Last Day"] or row["Extract Date"]
        while day <= last and row["Absence Type"] in ("Sickness", "Industrial injury"):
            end = month_end(day)
            if day in worked and (held := posts.get((end, row["Employee Number"]))):
                lost[end] += full_time_equivalent(held)
            day += timedelta(1)
    months, found = sorted(employed := fte(sources)), {}
    for n, day in enumerate(months):
        year = months[n - 11 : n + 1] if n >= 11 else []
        if year:
            found[day] = round(sum(lost[each] for each in year) / (sum(employed[each] for each in year) / 12), 1)
    return found


def long_term_absences(sources: Sources) -> Figures:
    """{absence type: absences of 28 calendar days or more}, the first and last day included."""
    latest = {row["Absence Ref"]: row for row in sources.sheet("hr/itrent_*.xlsx", "Absence")}
    as_at = max(row["Extract Date"] for row in latest.values())
    found: Counter[str] = Counter()
    for row in latest.values():
        found[row["Absence Type"]] += ((row["Last Day"] or as_at) - row["First Day"]).days >= 27
    return dict(found)


def leavers(sources: Sources) -> Figures:
    """{month end: leavers of the 12 calendar months to it}."""
    posts = posts_of_months(sources)
    left = Counter(day for (day, _), held in posts.items() if not is_employed(day, held))
    months, found = sorted({day for day, _ in posts}), {}
    for day in months:
        first = month_end(date(day.year - 1, day.month, 28)) + timedelta(1)
        if any(each < first for each in months) or month_end(first) in months:
            found[day] = sum(number for each, number in left.items() if first <= each <= day)
    return found


def repair_hours(sources: Sources) -> Figures:
    """{response time: (repairs with both times, hours)} of Category 1: hours from report to completion of a defect."""
    as_at = max(row["last_updated_time"] for row in sources.table("confirm", "central_enquiry")).date()
    found: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in sources.table("confirm", "defect"):
        start, end = row["date_reported"], row["actual_completion_date"]
        if not row["response_time_name"].startswith("Category 1") or not end or time() in (start.time(), end.time()):
            continue
        if start <= end and end.date() <= as_at:
            begun, done = (moment.replace(tzinfo=LONDON).astimezone(UTC) for moment in (start, end))
            microseconds = Decimal((done - begun) // timedelta(microseconds=1))
            hours = (microseconds / 3_600_000_000).quantize(CENT, ROUND_HALF_UP)
            found[row["response_time_name"]][0] += 1
            found[row["response_time_name"]][1] += hours
    return {name: (number, hours) for name, (number, hours) in found.items()}


def active_members(sources: Sources) -> Figures:
    """{month: members who borrowed in the month or the 11 before it, each once in the county}."""
    borrowers = list(sources.files("libraries/koha_borrowers*.csv"))
    staff = {row["borrowernumber"] for row in borrowers if row["categorycode"] == "S" or not row["dateofbirth"]}
    died = {row["borrowernumber"]: row["debarred"] for row in borrowers if row["debarredcomment"] == "Deceased"}
    months: dict[date, set[str]] = defaultdict(set)
    days = []
    for row in sources.files("libraries/koha_statistics*.csv"):
        day, member = date.fromisoformat(row["datetime"][:10]), row["borrowernumber"]
        days.append(day)
        is_after_death = member in died and str(day) > died[member]
        if row["type"].lower() in ("issue", "renew") and member not in staff and not is_after_death:
            months[month(day)].add(member)
    first = month(min(days))
    found, current = {}, first.replace(year=first.year + (first.month > 1), month=(first.month + 10) % 12 + 1)
    while current <= month(max(days)):
        year = [date(current.year - (current.month <= n), (current.month - n - 1) % 12 + 1, 1) for n in range(12)]
        found[current] = len(set().union(*(months[each] for each in year)))
        current = month(current + timedelta(31))
    return found


def ages(sources: Sources) -> Figures:
    """{kind of event and age: events}: completed years from the date of birth to the day, for every known child."""
    known, _ = known_children(sources)
    born = {row["dim_person_id"]: row["birth_dttm"] for row in sources.table("liquidlogic", "dim_person")}
    found: Counter[str] = Counter()
    for kind, table, column in (
        ("referral", "fact_referrals", "refrl_start_dttm"),
        ("plan", "fact_cp_plan", "start_dttm"),
        ("episode", "fact_care_episodes", "care_start_date"),
    ):
        for row in sources.table("liquidlogic", table):
            day = row[column] if table == "fact_care_episodes" else local_day(row[column])
            at = born.get(known.get(row["dim_person_id"]))
            if at and at.year >= 1900 and day >= at:
                found[f"{kind} {day.year - at.year - ((day.month, day.day) < (at.month, at.day))}"] += 1
    return dict(found)


def age_groups(sources: Sources) -> Figures:
    """{age group: events of adult social care}: completed years on the day; a birth date of registration is unknown."""
    people = {row["person_id"]: row for row in sources.table("mosaic", "dm_persons")}
    found: Counter[str] = Counter()
    for table, column in (
        ("dm_requests", "request_date"),
        ("dm_assessments", "start_date"),
        ("dm_services", "start_date"),
        ("dm_reviews", "start_date"),
    ):
        for row in sources.table("mosaic", table):
            person, day = people[row["person_id"]], row[column]
            at, since = person["date_of_birth"], person["created_on"]
            age = day.year - at.year - ((day.month, day.day) < (at.month, at.day))
            is_known = at.year > 1900 and month(at) != month(since) and at <= day
            found[
                "Not known" if not is_known else "Under 18" if age < 18 else "18 to 64" if age < 65 else "65 and over"
            ] += 1
    return dict(found)


def age_groups_at_month_ends(sources: Sources) -> Figures:
    """{age group: services of long-term support at month ends}: completed years on the last day of the month."""
    people = {row["person_id"]: row for row in sources.table("mosaic", "dm_persons")}
    tables = ("dm_persons", "dm_requests", "dm_assessments", "dm_services", "dm_reviews")
    as_at = max(row["last_updated_on"] for name in tables for row in sources.table("mosaic", name)).date()
    found: Counter[str] = Counter()
    for row in sources.table("mosaic", "dm_services"):
        person = people[row["person_id"]]
        at, died = person["date_of_birth"], person["date_of_death"]
        ends = [day for day in (row["end_date"], died) if day]
        last = max(row["start_date"], min(ends)) if ends else as_at
        day = month_end(row["start_date"])
        while row["service_type"].startswith("Long Term Support") and day <= min(last, as_at):
            age = day.year - at.year - ((day.month, day.day) < (at.month, at.day))
            is_known = at.year > 1900 and month(at) != month(person["created_on"])
            found["Not known" if not is_known else "18 to 64" if age < 65 else "65 and over"] += 1
            day = month_end(day + timedelta(1))
    return dict(found)


# {measure: (count from the sources, query of the published figures: key and values)}
MEASURES: dict[str, tuple[Callable[[Sources], Figures], str]] = {
    "ages of children on the day": (
        ages,
        "select kind || ' ' || age_years, count(*) from (select 'referral' as kind, age_years from "
        "children.fct_referral_journeys union all select 'plan', age_years from children.fct_protection_plans "
        "union all select 'episode', age_years from children.fct_care_episodes) as events "
        "where age_years is not null group by 1",
    ),
    "age groups of adults at month ends": (
        age_groups_at_month_ends,
        "select age_group, count(*) from adult_care.fct_long_term_support_months group by 1",
    ),
    "age groups of adults on the day": (
        age_groups,
        "select age_group, count(*) from adult_care.fct_care_events group by 1",
    ),
    "FOI due dates and timeliness": (
        foi_requests,
        "select request_reference, due_date, is_in_time from customer.fct_foi_requests",
    ),
    "payments in bands": (
        prompt_payment,
        'select "Period start", "Paid within 30 days", "Paid in 31 to 60 days", "Paid after 60 days", '
        '"Due and not paid" from finance.rpt_prompt_payment',
    ),
    "interest and compensation for late payment": (
        late_payment,
        "select 'interest', sum(interest_owed_gbp) from finance.fct_invoice_payments union all "
        "select 'compensation', sum(compensation_owed_gbp) from finance.fct_invoice_payments",
    ),
    "invoices entered twice": (
        invoices_entered_twice,
        "select record_key, rule_code from quality.fct_findings where rule_code = 'FIN04'",
    ),
    "spend over £500": (
        spend_over_500,
        "select 'lines', count(*)::numeric from finance.rpt_spend_over_500 union all "
        "select 'pounds', sum(\"Amount\") from finance.rpt_spend_over_500 union all "
        "select 'credits', count(*) from finance.rpt_spend_over_500 where \"Amount\" < 0",
    ),
    "children looked after": (
        looked_after,
        "select month_end_date, count(*) from children.fct_looked_after_months group by 1",
    ),
    "assessments in 45 working days": (
        assessments,
        "select date_trunc('month', completed_date)::date, count(*) filter (where is_in_45_working_days), "
        "count(*) filter (where not is_in_45_working_days) from children.fct_assessments "
        "where is_in_45_working_days is not null and completed_date is not null group by 1",
    ),
    "re-referrals": (
        rereferrals,
        "select extract(year from referred_date)::integer, count(*) filter (where is_rereferral) "
        "from children.fct_referral_journeys where child_key <> -1 group by 1",
    ),
    "persistent and severe absence": (
        absence,
        "select academic_year, count(*), count(*) filter (where attended <= 0.9 * possible), "
        "count(*) filter (where attended <= 0.5 * possible) from (select academic_year, person_key, school_key, "
        "sum(sessions_possible) as possible, sum(sessions_attended) as attended "
        "from education.fct_attendance_weeks where is_aged_5_to_15 group by 1, 2, 3) as enrolments "
        "where possible > 0 group by 1",
    ),
    "full-time equivalent": (
        fte,
        "select month_end_date, round(sum(fte), 2)::float from workforce.fct_headcount_months group by 1",
    ),
    "days lost per FTE": (
        days_lost_per_fte,
        'select "Month end", "Days lost per FTE"::float from workforce.rpt_days_lost_per_fte '
        "where \"Directorate\" = 'All directorates'",
    ),
    "long-term absences": (
        long_term_absences,
        "select absence_type_name, count(*) filter (where is_long_term) from workforce.fct_absences group by 1",
    ),
    "leavers in 12 months": (
        leavers,
        "select month_end_date, leavers from (select month_end_date, sum(leavers) over year::int as leavers, "
        "count(*) over year as months from (select month_end_date, count(*) filter (where is_leaver) as leavers "
        "from workforce.fct_headcount_months group by 1) as each "
        "window year as (order by month_end_date range interval '11 months' preceding)) as years where months = 12",
    ),
    "hours to repair": (
        repair_hours,
        "select response_time_name, count(completion_hours), sum(completion_hours) "
        "from highways.fct_defects where response_time_name like 'Category 1%' group by 1",
    ),
    "active members of the county": (
        active_members,
        "select distinct month_start_date, county_active_members from libraries.fct_member_months",
    ),
}


def published(rows: list[tuple]) -> Figures:
    """{key: value, or values} of the rows of a query."""
    return {key: values[0] if len(values) == 1 else tuple(values) for key, *values in rows}
