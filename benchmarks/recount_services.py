"""Count the measures of services again from the source systems: measures that follow a return and have no report.

Each function follows the text that it names, and shares no code with the warehouse's models. `tests/test_metrics.py`
compares the results with the metrics of the published tables.
"""

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from benchmarks.recount import (
    DIVISIONS,
    LONDON,
    Figures,
    Row,
    Sources,
    full_time_equivalent,
    is_employed,
    known_children,
    local_day,
    month,
    month_end,
    nth_working_day,
    posts_of_months,
    working_days,
    working_days_between,
)

SICKNESS = ("Sickness", "Industrial injury")
COMMUNITY, RESIDENTIAL, NURSING = (
    f"Long Term Support: {kind}" for kind in ("Community", "Residential Care", "Nursing Care")
)
DIRECT_PAYMENTS = ("Direct Payment Only", "Direct Payment with CASSR Managed Personal Budget")


def months_later(day: date, number: int) -> date:
    """The same day of another month, or its last day."""
    year, index = divmod(12 * day.year + day.month - 1 + number, 12)
    return date(year, index + 1, min(day.day, monthrange(year, index + 1)[1]))


def month_ends(first: date, last: date) -> Iterator[date]:
    day = month_end(first)
    while day <= last:
        yield day
        day = month_end(day + timedelta(1))


def age(born: date, day: date) -> int:
    """Completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _plans(sources: Sources) -> Iterator[list[tuple[date, date | None]]]:
    """(first day, last day if it is credible) of each known child's child protection plans, in order."""
    known, _ = known_children(sources)
    plans: dict[int, list[tuple]] = defaultdict(list)
    for row in sources.table("liquidlogic", "fact_cp_plan"):
        if row["dim_person_id"] in known:
            begun, ended = local_day(row["start_dttm"]), local_day(row["end_dttm"])
            is_credible = ended is None or ended >= begun
            plan = begun, row["fact_cp_plan_id"], ended if is_credible else None, is_credible
            plans[known[row["dim_person_id"]]].append(plan)
    yield from ([(plan[0], plan[2], plan[3]) for plan in sorted(each)] for each in plans.values())


def protection_plans(sources: Sources) -> Figures:
    """{month: (plans begun, for a child with an earlier plan, within 24 months of its end)}: children in need, DfE."""
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0])
    for plans in _plans(sources):
        for n, (begun, _, _) in enumerate(plans):
            each = found[month(begun)]
            each[0] += 1
            each[1] += n > 0
            each[2] += any(ended and ended >= months_later(begun, -24) for _, ended, _ in plans[:n])
    return {day: tuple(counts) for day, counts in found.items()}


def protection_plans_ended(sources: Sources) -> Figures:
    """{month: (plans ended, of these after two years or more)}: children in need, DfE."""
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for plans in _plans(sources):
        for begun, ended, _ in plans:
            if ended:
                found[month(ended)][0] += 1
                found[month(ended)][1] += ended >= months_later(begun, 24)
    return {day: tuple(counts) for day, counts in found.items()}


def in_need(sources: Sources) -> Figures:
    """{month end: (children in need, on a protection plan)}: children in need census, an open referral on the day."""
    known, as_at = known_children(sources)
    children: dict[date, set[int]] = defaultdict(set)
    for row in sources.table("liquidlogic", "fact_referrals"):
        begun, ended = local_day(row["refrl_start_dttm"]), local_day(row["refrl_end_dttm"])
        is_credible = row["outcome_nfa_flag"] != "Y" and not (ended and ended < begun)
        if row["dim_person_id"] in known and is_credible:
            for day in month_ends(begun, as_at):
                if ended is None or ended > day:
                    children[day].add(known[row["dim_person_id"]])
    planned: dict[date, set[int]] = defaultdict(set)
    for row in sources.table("liquidlogic", "fact_cp_plan"):
        begun, ended = local_day(row["start_dttm"]), local_day(row["end_dttm"])
        if row["dim_person_id"] in known and not (ended and ended < begun):
            for day in month_ends(begun, as_at):
                if ended is None or ended > day:
                    planned[day].add(known[row["dim_person_id"]])
    return {day: (len(found), len(found & planned[day])) for day, found in children.items()}


def placements(sources: Sources) -> Figures:
    """{month end: (children with 3 placements, looked after for 2.5 years, of these settled)}: indicators 62 and 63."""
    known, as_at = known_children(sources)
    born = {row["dim_person_id"]: row["birth_dttm"] for row in sources.table("liquidlogic", "dim_person")}
    episodes: dict[int, list[Row]] = defaultdict(list)
    for row in sources.table("liquidlogic", "fact_care_episodes"):
        if row["dim_person_id"] in known:
            episodes[known[row["dim_person_id"]]].append(row)
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0])
    for child, rows in episodes.items():
        rows.sort(key=lambda row: (row["care_start_date"], row["fact_care_episodes_id"]))
        starts: dict[int, list[date]] = defaultdict(list)  # the placements of each period of care
        temporary: dict[int, bool] = {}
        spans = []  # first day, day after the last, period, place of the placement in it, row
        for n, row in enumerate(rows):
            begun, ended, period = row["care_start_date"], row["care_end_date"], row["fact_cla_id"]
            is_temporary = row["place_903_code"].startswith("T")
            is_new = row["care_reason_code"] != "L" and not is_temporary and not temporary.get(period)
            temporary[period] = is_temporary
            if is_new or not starts[period]:
                starts[period].append(begun)
            following = rows[n + 1]["care_start_date"] if n + 1 < len(rows) else date.max
            ended = ended if ended and ended >= begun else date.max
            spans.append((begun, min(ended, following), period, len(starts[period]) - 1, row))
        for day in month_ends(rows[0]["care_start_date"], as_at):
            now = [span for span in spans if span[0] <= day < span[1] and span[4]["ls_903_code"] not in ("V3", "V4")]
            if not now:
                continue
            since = months_later(day + timedelta(1), -12)
            year = {
                (period, place)
                for begun, ended, period, place, row in spans
                if begun <= day and ended >= since and row["ls_903_code"] not in ("V3", "V4")
            }
            found[day][0] += len(year) >= 3
            (_, _, period, place, row) = now[0]
            is_known = born[child] and born[child].year >= 1900
            if is_known and age(born[child], day) < 16 and starts[period][0] <= months_later(day, -30):
                is_adoptive = row["place_903_code"] in ("A3", "A4", "A5", "A6")
                settled = starts[period][max(0, place - is_adoptive)]
                found[day][1] += 1
                found[day][2] += settled <= months_later(day, -24)
    return {day: tuple(counts) for day, counts in found.items()}


def suspensions(sources: Sources) -> Figures:
    """{academic year: (pupils on roll at the January census, suspensions, permanent exclusions)}: DfE, Suspensions."""
    present = {row["former_upn"]: row["upn"] for row in sources.files("education/pupils*.csv") if row["former_upn"]}
    school = {row["urn"]: row["predecessor_urn"] or row["urn"] for row in sources.files("education/schools*.csv")}
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in sources.files("education/suspensions*.csv"):
        day = date.fromisoformat(row["start_date"])
        found[day.year - (day.month < 9)][1 + (row["category"] == "PERM")] += 1
    latest = max(row["week_commencing"] for row in sources.files("education/attendance*.csv"))
    enrolments = list(sources.files("education/enrolments*.csv"))
    for year in list(found):
        thursdays = [date(year + 1, 1, n) for n in range(1, 32) if date(year + 1, 1, n).weekday() == 3]
        census = str(thursdays[2])
        on_roll = {
            (present.get(row["upn"], row["upn"]), school[row["urn"]])
            for row in enrolments
            if row["entry_date"] <= census and (not row["leaving_date"] or row["leaving_date"] >= census)
        }
        found[year][0] = len(on_roll)
        if census > latest:
            del found[year]
    return {f"{year}/{(year + 1) % 100:02d}": tuple(counts) for year, counts in found.items()}


def commitments(sources: Sources) -> Figures:
    """{month of the order: (open orders, pounds ordered and not invoiced)}."""
    invoiced: Counter[int] = Counter()
    for row in sources.table("procurement", "apinvoice"):
        invoiced[row["order_id"]] += row["amount"]
    ordered: Counter[int] = Counter()
    for row in sources.table("procurement", "apodetail"):
        ordered[row["order_id"]] += row["amount"]
    found: dict[date, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in sources.table("procurement", "apoheader"):
        if row["status"] == "N":
            found[month(row["order_date"])][0] += 1
            found[month(row["order_date"])][1] += max(ordered[row["order_id"]] - invoiced[row["order_id"]], 0)
    return {day: (number, float(pounds)) for day, (number, pounds) in found.items()}


def budgets(sources: Sources) -> Figures:
    """{month: (budget, actual spend, forecast, variance)} in pounds; later months have the budget as forecast."""
    budget, actual = Counter[date](), Counter[date]()
    for row in sources.table("procurement", "aglbudget"):
        year, period = divmod(int(row["period"]), 100)
        budget[months_later(date(year, 4, 1), period - 1)] += row["amount"]
    for row in sources.zipped("finance/*supplier-spend*.zip"):
        day = date.fromisoformat(row["EffectiveDate"])
        actual[month(day)] += Decimal(row["Amount"]) + Decimal(row["IrrecoverableVATAmount"] or 0)
    as_at = max(row["last_update"] for row in sources.table("procurement", "apinvoice")).date()
    last = max(day for day in actual if day <= as_at)  # a line dated after the extract is posted to a later month
    return {
        day: tuple(
            map(float, (budget[day], actual[day], actual[day], actual[day] - budget[day]))
            if day <= last
            else map(float, (budget[day], actual[day], budget[day], 0))
        )
        for day in {*budget, *actual}
    }


def _defects(sources: Sources) -> Iterator[tuple[Row, bool, bool | None]]:
    """(defect, whether it is repaired, whether in time): a time of midnight is a date without a time."""
    as_at = max(row["last_updated_time"] for row in sources.table("confirm", "central_enquiry"))

    def is_before(earlier: datetime, later: datetime) -> bool:
        if time() in (earlier.time(), later.time()):
            return earlier.date() < later.date()
        return earlier < later

    for row in sources.table("confirm", "defect"):
        done, due = row["actual_completion_date"], row["required_completion_date"]
        done = done if done and done.date() <= as_at.date() else None
        in_time = not is_before(due, done) if done else False if is_before(due, as_at) else None
        yield row | {"done": done}, done is not None, in_time


def defects(sources: Sources) -> Figures:
    """{category of response: (reported, potholes, open, overdue, repaired, in time)}."""
    found: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for row, is_done, in_time in _defects(sources):
        counts = (1, row["item_type_name"] == "Pothole", not is_done, not is_done and in_time is False, is_done)
        for n, counted in enumerate((*counts, is_done and bool(in_time))):
            found[row["response_time_name"]][n] += counted
    return {category: tuple(counts) for category, counts in found.items()}


def repair_days(sources: Sources) -> Figures:
    """{month of repair: (potholes repaired, median days to repair, of a pothole)}."""
    days: dict[date, list[int]] = defaultdict(list)
    potholes: dict[date, list[int]] = defaultdict(list)
    for row, is_done, _ in _defects(sources):
        if is_done:
            taken = (row["done"].date() - row["date_reported"].date()).days
            days[month(row["done"].date())].append(taken)
            if row["item_type_name"] == "Pothole":
                potholes[month(row["done"].date())].append(taken)
    return {
        day: (len(potholes[day]), median(each), median(potholes[day]) if potholes[day] else None)
        for day, each in days.items()
    }


def repair_hours(sources: Sources) -> Figures:
    """{month of repair: median hours to repair} of the defects with a time of the report and of the repair."""
    hours: dict[date, list[float]] = defaultdict(list)
    for row, is_done, _ in _defects(sources):
        if is_done and time() not in (row["date_reported"].time(), row["done"].time()):
            begun, done = (
                moment.replace(tzinfo=LONDON).astimezone(UTC) for moment in (row["date_reported"], row["done"])
            )
            if begun <= done:
                hours[month(row["done"].date())].append((done - begun) / timedelta(hours=1))
    return {day: median(each) for day, each in hours.items()}


def sickness(sources: Sources) -> Figures:
    """{month of the first day: (absences, of 28 days or more, working days lost, of these to long absences)}."""
    held, latest = posts_of_months(sources), {}
    for row in sources.sheet("hr/itrent_*.xlsx", "Absence"):
        latest[row["Absence Ref"]] = row
    as_at, worked = max(row["Extract Date"] for row in latest.values()), set(working_days("england-and-wales"))
    found: dict[date, list[int]] = defaultdict(lambda: [0] * 4)
    for row in latest.values():
        if row["Absence Type"] in SICKNESS:
            first, last = row["First Day"], row["Last Day"] or row["Extract Date"]
            span = [first + timedelta(n) for n in range((last - first).days + 1)]
            lost = sum(day in worked and (month_end(day), row["Employee Number"]) in held for day in span)
            is_long = ((row["Last Day"] or as_at) - first).days + 1 >= 28
            for n, counted in enumerate((1, is_long, lost, lost * is_long)):
                found[month(first)][n] += counted
    return {day: tuple(counts) for day, counts in found.items()}


def turnover(sources: Sources) -> Figures:
    """{month: (resignations, leavers within a year of their start) of the 12 months to it}."""
    months: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for (day, _), posts in posts_of_months(sources).items():
        months[day][0] += 0
        if not is_employed(day, posts):
            last, first = max(post["Leaving Date"] for post in posts), min(post["Start Date"] for post in posts)
            months[day][0] += max(post["Leaving Reason"] for post in posts) == "Resignation"
            months[day][1] += last < months_later(first, 12)
    found = {}
    for day in months:
        since = months_later(day + timedelta(1), -12)
        year = [counts for each, counts in months.items() if since <= each <= day]
        found[month(day)] = tuple(map(sum, zip(*year, strict=True)))
    return found


def _care(sources: Sources) -> tuple[dict[int, Row], dict[int, list[Row]], date]:
    """(people by number, their services in order with an end of the death at the latest, as-at date)."""
    tables = ("dm_persons", "dm_requests", "dm_assessments", "dm_services", "dm_reviews")
    as_at = max(row["last_updated_on"] for name in tables for row in sources.table("mosaic", name)).date()
    people = {row["person_id"]: row for row in sources.table("mosaic", "dm_persons")}
    services: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(sources.table("mosaic", "dm_services"), key=lambda row: (row["start_date"], row["service_id"])):
        died = people[row["person_id"]]["date_of_death"]
        ends = [day for day in (row["end_date"], died) if day]
        row["end_date"] = max(row["start_date"], min(ends)) if ends else date.max
        services[row["person_id"]].append(row)
    return people, services, as_at


def _is_adult(person: Row, day: date) -> bool:
    """Whether a person is not known to be under 18; a birth date in the month of registration is not credible."""
    born, registered = person["date_of_birth"], person["created_on"]
    is_known = born.year > 1900 and (born.year, born.month) != (registered.year, registered.month)
    return not is_known or age(born, day) >= 18


def direct_payments(sources: Sources) -> Figures:
    """{month: (people with community support alone, self-directed, with a direct payment) at its end}: ASCOF 3D."""
    people, services, as_at = _care(sources)
    found: dict[date, list[set[int]]] = defaultdict(lambda: [set(), set(), set()])
    homes: dict[date, set[int]] = defaultdict(set)
    for person, rows in services.items():
        for row in rows:
            mechanism = row["delivery_mechanism"] or ""
            is_direct = row["service_component"] == "Direct Payment" or mechanism in DIRECT_PAYMENTS
            is_self = is_direct or mechanism == "CASSR Managed Personal Budget"
            for day in month_ends(row["start_date"], min(as_at, row["end_date"])):
                if row["service_type"] in (RESIDENTIAL, NURSING):
                    homes[month(day)].add(person)
                elif row["service_type"] == COMMUNITY and _is_adult(people[person], day):
                    for each, is_counted in zip(found[month(day)], (True, is_self, is_direct), strict=True):
                        each.update({person} if is_counted else ())
    return {day: tuple(len(each - homes[day]) for each in sets) for day, sets in found.items()}


def admissions(sources: Sources) -> Figures:
    """{month: people whose first service in residential or nursing care began}: ASCOF 2B and 2C."""
    _, services, _ = _care(sources)
    firsts = (
        next((row for row in rows if row["service_type"] in (RESIDENTIAL, NURSING)), None) for rows in services.values()
    )
    return Counter(month(first["start_date"]) for first in firsts if first)


def reablement(sources: Sources) -> Figures:
    """{month of the end: (reablement of new clients, not followed by long-term support in seven days)}: ASCOF 2A."""
    people, services, as_at = _care(sources)
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for person, rows in services.items():
        long_term = [row for row in rows if row["service_type"].startswith("Long Term Support")]
        for row in rows:
            start, end = row["start_date"], row["end_date"]
            if row["service_type"] != "Short Term Support: ST-Max" or end == date.max:
                continue
            known = end + timedelta(7)
            before = any(e["start_date"] < start and e["end_date"] >= start - timedelta(1) for e in long_term)
            if known > as_at or before:
                continue
            is_followed = any(start <= each["start_date"] <= known for each in long_term)
            died = people[person]["date_of_death"]
            if is_followed or not (died and died <= known):
                found[month(end)][0] += 1
                found[month(end)][1] += not is_followed
    return {day: tuple(counts) for day, counts in found.items()}


def support_years(sources: Sources) -> Figures:
    """{year: (people supported, at 31 March, from 31 March to 31 March, of these reviewed)}: SALT LTS001, LTS002."""
    people, services, as_at = _care(sources)
    reviews: dict[int, list[date]] = defaultdict(list)
    for row in sources.table("mosaic", "dm_reviews"):
        if row["end_date"]:
            reviews[row["person_id"]].append(row["end_date"])
    found: dict[int, list[int]] = defaultdict(lambda: [0] * 4)
    for person, rows in services.items():
        spans = [(r["start_date"], r["end_date"]) for r in rows if r["service_type"].startswith("Long Term Support")]
        for year in range(2015, as_at.year + 1):
            first, last = date(year - 1, 4, 1), date(year, 3, 31)
            if last > as_at or not any(start <= last and end >= first for start, end in spans):
                continue
            days = {first + timedelta(n) for n in range(-1, (last - first).days + 1)}
            for start, end in spans:
                days -= {day for day in days if start <= day <= end}
            is_at_end = any(start <= last <= end for start, end in spans)
            is_reviewed = any(first <= day <= last for day in reviews[person])
            if _is_adult(people[person], last):
                for n, counted in enumerate((1, is_at_end, not days, not days and is_reviewed)):
                    found[year][n] += counted
    return {year: tuple(counts) for year, counts in found.items()}


def plans_without_exceptions(sources: Sources) -> Figures:
    """{month of issue: (plans issued, in 20 weeks, without exceptions issued, in 20 weeks)}: DfE, EHC plans."""
    found: dict[date, list[int]] = defaultdict(lambda: [0] * 4)
    for row in sources.files("education/ehcps*.csv"):
        requested, decided, issued = (local_day(row[f"{name}_date"]) for name in ("requested", "decided", "issued"))
        if issued and issued >= requested and not (decided and decided < requested):
            is_in_time, is_usual = (issued - requested).days <= 140, row["exception"] != "Y"
            for n, counted in enumerate((1, is_in_time, is_usual, is_usual and is_in_time)):
                found[month(issued)][n] += counted
    return {day: tuple(counts) for day, counts in found.items()}


def sickness_by_reason(sources: Sources) -> Figures:
    """{reason: working days lost to sickness, times FTE}."""
    held, latest = posts_of_months(sources), {}
    for row in sources.sheet("hr/itrent_*.xlsx", "Absence"):
        latest[row["Absence Ref"]] = row
    worked, found = set(working_days("england-and-wales")), Counter[str]()
    for row in latest.values():
        day, last = row["First Day"], row["Last Day"] or row["Extract Date"]
        while day <= last and row["Absence Type"] in SICKNESS:
            if day in worked and (posts := held.get((month_end(day), row["Employee Number"]))):
                found[row["Absence Reason"] or "Not known"] += full_time_equivalent(posts)
            day += timedelta(1)
    return dict(found)


def complaints(sources: Sources) -> Figures:
    """{month of receipt: (stage 1, stage 2, acknowledged in time, answered or overdue, in time)}: Ombudsman's code."""
    rows = sources.served("dynamics/complaints")
    as_at = max(local_day(row["modifiedon"]) for row in rows)
    found: dict[date, list[int]] = defaultdict(lambda: [0] * 5)
    for row in rows:
        received, acknowledged, responded = (
            local_day(row[f"{name}on"]) for name in ("received", "acknowledged", "responded")
        )
        allowed = 10 if row["stage"] == 1 else 20
        in_time = None
        if acknowledged and row["outcome"] != "Withdrawn":
            taken = working_days_between(acknowledged, responded or as_at, "england-and-wales")
            in_time = taken <= allowed if responded else False if taken > allowed else None
        greeted = bool(acknowledged) and working_days_between(received, acknowledged, "england-and-wales") <= 5
        counts = (row["stage"] == 1, row["stage"] == 2, greeted, in_time is not None, bool(in_time))
        for n, counted in enumerate(counts):
            found[month(received)][n] += counted
    return {day: tuple(counts) for day, counts in found.items()}


def complaints_closed(sources: Sources) -> Figures:
    """{month of the response: (stages with a response, upheld in full or in part)}."""
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for row in sources.served("dynamics/complaints"):
        if responded := local_day(row["respondedon"]):
            found[month(responded)][0] += 1
            found[month(responded)][1] += row["outcome"] in ("Upheld", "Partly upheld")
    return {day: tuple(counts) for day, counts in found.items()}


def internal_reviews(sources: Sources) -> Figures:
    """{month of receipt: (reviews, answered in time)}: section 45 code, 5.4; EIR 2004, regulation 11(4)."""
    found: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for row in sources.served("dynamics/foi_requests"):
        if asked := local_day(row["reviewaskedon"]):
            answered, allowed = local_day(row["reviewansweredon"]), 40 if row["regime"] == "EIR" else 20
            counts = found[month(local_day(row["receivedon"]))]
            counts[0] += 1
            counts[1] += bool(answered) and answered <= nth_working_day(asked, allowed, *DIVISIONS)
    return {day: tuple(counts) for day, counts in found.items()}


def care_leavers(sources: Sources) -> Figures:
    """{year: (care leavers, in touch, in education or work, in suitable accommodation)}: DfE, Children looked after."""
    rows = [row for row in sources.files("children/oc3.csv") if row["IN_TOUCH"] not in ("DIED", "RHOM")]
    counts = (
        len(rows),
        sum(row["IN_TOUCH"] == "YES" for row in rows),
        sum(row["ACTIV"][:1] in ("F", "P") for row in rows if row["ACTIV"]),
        sum(row["ACCOM"][1:] == "1" for row in rows),
    )
    return {_return_year(sources): counts}


def health_of_children(sources: Sources) -> Figures:
    """{year: (children of 12 months, assessed, with a dental check, immunised, mean SDQ score)}: DfE."""
    rows = list(sources.files("children/oc2.csv"))
    scores = [int(row["SDQ_SCORE"]) for row in rows if row["SDQ_SCORE"] and int(row["SDQ_SCORE"]) <= 40]
    checks = ("HEALTH_ASSESSMENT", "TEETH_CHECK", "IMMUNISATIONS")
    counted = (sum(row[name] == "1" for row in rows) for name in checks)
    return {_return_year(sources): (len(rows), *counted, sum(scores) / len(scores))}


def involvements(sources: Sources) -> Figures:
    """{service: involvements begun}: services, referrals, plans and times in care, issued plans, members and cases."""
    known, _ = known_children(sources)
    periods: dict[int, Row] = {}
    for row in sources.table("liquidlogic", "fact_care_episodes"):
        first = periods.setdefault(row["fact_cla_id"], row)
        if row["care_start_date"] < first["care_start_date"]:
            periods[row["fact_cla_id"]] = row
    in_care = {
        (known[row["dim_person_id"]], row["care_start_date"])
        for row in periods.values()
        if row["dim_person_id"] in known
    }
    referrals = sources.table("liquidlogic", "fact_referrals")
    borrowers = list(sources.files("libraries/koha_borrowers*.csv"))
    titles = [(row["title"] or "").lower() for row in sources.served("dynamics/incidents")]
    return {
        "Adult social care": len(sources.table("mosaic", "dm_services")),
        "Children and families": len(in_care)
        + sum(row["dim_person_id"] in known for row in referrals)
        + sum(map(len, _plans(sources))),
        "Special educational needs": sum(bool(row["issued_date"]) for row in sources.files("education/ehcps*.csv")),
        "Libraries": sum(
            row["categorycode"] != "S" and bool(row["dateofbirth"]) and row["debarredcomment"] != "Deceased"
            for row in borrowers
        ),
        "Customer services": sum(not title.strip(" *-[(").startswith(("test", "dummy")) for title in titles),
    }


def _return_year(sources: Sources) -> int:
    """The year in which the episodes of the return end."""
    days = [datetime.strptime(row["DECOM"], "%d/%m/%Y").date() for row in sources.files("children/episodes.csv")]
    return max(day.year + (day.month > 3) for day in days)


def missing_periods(sources: Sources) -> Figures:
    """{month: (missing periods, children missing)}: DfE, without absences that were only without authority."""
    found: dict[date, list[str]] = defaultdict(list)
    for row in sources.files("children/missing.csv"):
        if row["MISSING"] == "M":
            found[month(datetime.strptime(row["MIS_START"], "%d/%m/%Y").date())].append(row["CHILD"])
    return {day: (len(children), len(set(children))) for day, children in found.items()}


# {measures: (count from the sources, metrics, dimension)}
METRICS: dict[str, tuple[Callable[[Sources], Figures], list[str], str]] = {
    "protection plans begun": (
        protection_plans,
        ["protection_plans_begun", "repeat_protection_plans", "repeat_protection_plans_within_2_years"],
        "metric_time__month",
    ),
    "protection plans ended": (
        protection_plans_ended,
        ["protection_plans_ended", "protection_plans_ended_after_2_years"],
        "metric_time__month",
    ),
    "children in need": (in_need, ["children_in_need", "children_on_protection_plan"], "metric_time__month"),
    "stability of placements": (
        placements,
        ["children_with_3_placements", "children_looked_after_2_and_a_half_years", "children_in_stable_placement"],
        "metric_time__month",
    ),
    "suspensions": (
        suspensions,
        ["pupils_on_roll", "suspensions", "permanent_exclusions"],
        "suspension_year__academic_year",
    ),
    "commitments": (commitments, ["open_orders", "commitments_gbp"], "metric_time__month"),
    "budgets": (
        budgets,
        ["budget_gbp", "actual_spend_gbp", "forecast_outturn_gbp", "budget_variance_gbp"],
        "metric_time__month",
    ),
    "highway defects": (
        defects,
        [
            *(f"highways_{name}" for name in ("defects_reported", "potholes_reported", "open_defects")),
            *(f"highways_{name}" for name in ("overdue_defects", "defects_repaired", "defects_repaired_in_time")),
        ],
        "highways_defect__response_time_name",
    ),
    "days to repair a defect": (
        repair_days,
        ["highways_potholes_repaired", "highways_median_days_to_repair", "highways_median_days_to_repair_potholes"],
        "metric_time__month",
    ),
    "hours to repair a defect": (repair_hours, ["highways_median_hours_to_repair"], "metric_time__month"),
    "sickness absences": (
        sickness,
        [
            *("sickness_absences", "long_term_sickness_absences"),
            *("sickness_working_days_lost", "long_term_sickness_working_days_lost"),
        ],
        "metric_time__month",
    ),
    "resignations and leavers in their first year": (
        turnover,
        ["resignations_in_12_months", "first_year_leavers_in_12_months"],
        "metric_time__month",
    ),
    "direct payments": (
        direct_payments,
        ["people_with_community_support", "people_with_self_directed_support", "people_with_direct_payment"],
        "metric_time__month",
    ),
    "admissions to care homes": (admissions, ["care_home_admissions"], "metric_time__month"),
    "reablement": (reablement, ["reablement_ended", "reablement_without_long_term_support"], "metric_time__month"),
    "long-term support in the year": (
        support_years,
        [
            "people_supported_in_year",
            "people_supported_at_year_end",
            "people_supported_for_12_months",
            "people_reviewed",
        ],
        "metric_time__year",
    ),
    "plans with and without exceptions": (
        plans_without_exceptions,
        [
            *("ehcps_issued", "ehcps_issued_in_20_weeks"),
            *("ehcps_issued_without_exception", "ehcps_issued_in_20_weeks_without_exception"),
        ],
        "metric_time__month",
    ),
    "sickness by reason": (
        sickness_by_reason,
        ["sickness_fte_days_lost_by_reason"],
        "sickness_reason_month__absence_reason_name",
    ),
    "complaints": (
        complaints,
        [
            *("complaints", "complaints_in_stage_2", "complaint_stages_acknowledged_in_time"),
            *("complaint_stages_answered_or_overdue", "complaint_stages_answered_in_time"),
        ],
        "metric_time__month",
    ),
    "complaints closed": (
        complaints_closed,
        ["complaint_stages_closed", "complaint_stages_upheld"],
        "metric_time__month",
    ),
    "internal reviews": (
        internal_reviews,
        ["foi_internal_reviews", "foi_internal_reviews_in_time"],
        "metric_time__month",
    ),
    "care leavers": (
        care_leavers,
        [
            *("care_leavers", "care_leavers_in_touch", "care_leavers_in_education_or_work"),
            "care_leavers_in_suitable_accommodation",
        ],
        "metric_time__year",
    ),
    "health of children looked after": (
        health_of_children,
        [
            *("children_looked_after_12_months", "children_with_health_assessment", "children_with_dental_check"),
            *("children_immunised", "mean_sdq_score"),
        ],
        "metric_time__year",
    ),
    "involvements": (involvements, ["involvements_begun"], "involvement__service_area_name"),
    "missing periods": (missing_periods, ["missing_periods", "children_missing"], "metric_time__month"),
}
