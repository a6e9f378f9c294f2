"""The demo county's children's social care: Liquidlogic's reporting copy, and the SSDA903 return.

Names are those of Liquidlogic's HDM, codes those of the DfE. Times are Europe/London without a zone. A child's history
is generated up to the county's horizon and then cut at its day: later records are absent, later end dates empty.
"""

from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from demo.county import County, Truth, as_csv, columns, weighted_choice
from demo.people import BEGIN, HORIZON, Household, Person
from demo.places import Address, home
from demo.typing_errors import NameTypist

PAST = date(BEGIN.year - 3, BEGIN.month, BEGIN.day)  # first day of referrals, so that children are in care at BEGIN
TABLES = {
    "dim_worker": """dim_worker_id*:bigint forename surname job_title department_name
        full_time_equivalency:numeric(4,2) updated_dttm:timestamp""",
    "dim_person": """dim_person_id*:bigint nhs_number upn forename surname gender_main_code birth_dttm:date
        dob_estimated death_dttm:date ethnicity_main_code duplicated_dttm:timestamp updated_dttm:timestamp""",
    "dim_person_address": """dim_person_address_id*:bigint dim_person_id:bigint addss_type_code start_dttm:timestamp
        end_dttm:timestamp flat_no building house_no street town postcode uprn updated_dttm:timestamp""",
    "fact_contacts": """fact_contact_id*:bigint dim_person_id:bigint contact_dttm:timestamp
        dim_lookup_cont_sorc_id_desc outcome_new_referral_flag outcome_existing_referral_flag outcome_nfa_flag
        outcome_comments updated_dttm:timestamp""",
    "fact_referrals": """fact_referral_id*:bigint dim_person_id:bigint refrl_start_dttm:timestamp
        refrl_end_dttm:timestamp dim_lookup_category_of_need_code dim_lookup_refrl_endrsn_id_code outcome_nfa_flag
        dim_worker_id:bigint updated_dttm:timestamp""",
    "fact_single_assessment": """fact_single_assessment_id*:bigint fact_referral_id:bigint dim_person_id:bigint
        start_dttm:timestamp completed_dttm:timestamp outcome_nfa_flag updated_dttm:timestamp""",
    "fact_cp_plan": """fact_cp_plan_id*:bigint fact_referral_id:bigint dim_person_id:bigint start_dttm:timestamp
        end_dttm:timestamp init_category_desc cp_category_desc updated_dttm:timestamp""",
    "fact_cla": """fact_cla_id*:bigint fact_referral_id:bigint dim_person_id:bigint start_dttm:timestamp
        end_dttm:timestamp updated_dttm:timestamp""",
    "fact_care_episodes": """fact_care_episodes_id*:bigint fact_cla_id:bigint dim_person_id:bigint
        care_start_date:date care_end_date:date care_reason_code care_reason_end_code cin_903_code ls_903_code
        place_903_code place_provider_903_code ofsted_urn updated_dttm:timestamp""",
    "fact_involvements": """fact_involvements_id*:bigint fact_referral_id:bigint dim_person_id:bigint
        dim_worker_id:bigint start_dttm:timestamp end_dttm:timestamp dim_lookup_involvement_type_code
        is_allocated_cw_flag updated_dttm:timestamp""",
}
NAMES = "Worker Child Home Contact Referral Assessment Plan Care Episode Involvement"
Worker, Child, Home, Contact, Referral, Assessment, Plan, Care, Episode, Involvement = (
    namedtuple(name, columns(table)) for name, table in zip(NAMES.split(), TABLES.values(), strict=True)
)
RETURN = {  # files of the SSDA903 return
    "header": "CHILD SEX DOB ETHNIC UPN MOTHER MC_DOB",
    "episodes": "CHILD DECOM RNE LS CIN PLACE PLACE_PROVIDER DEC REC REASON_PLACE_CHANGE HOME_POST PL_POST URN",
    "reviews": "CHILD DOB REVIEW REVIEW_CODE",
    "missing": "CHILD DOB MISSING MIS_START MIS_END",
    "oc2": """CHILD DOB SDQ_SCORE SDQ_REASON CONVICTED HEALTH_CHECK IMMUNISATIONS TEETH_CHECK HEALTH_ASSESSMENT
        SUBSTANCE_MISUSE INTERVENTION_RECEIVED INTERVENTION_OFFERED""",
    "oc3": "CHILD DOB IN_TOUCH ACTIV ACCOM",
}
Line = {name: namedtuple(name, headings.lower().split()) for name, headings in RETURN.items()}

SOURCES = {"Police": 30, "School": 22, "Health service": 18, "Family member or friend": 12, "Local authority": 10,
           "Anonymous": 4, "Not known": 4}  # fmt: skip
NEEDS = {"N1": 55, "N2": 8, "N3": 5, "N4": 12, "N5": 9, "N6": 3, "N7": 2, "N8": 4, "N9": 2}
LEGAL = {"C2": 52, "V2": 24, "C1": 14, "E1": 10}
PLACES = {"U6": 42, "U1": 14, "U3": 8, "K2": 14, "H5": 8, "P1": 6, "A3": 4, "U4": 4}  # usual providers below
PLACES_2026 = {"H5": "K3"}  # codes of the SSDA903 return from 2026
PROVIDERS = {"U": ("PR1", "PR4"), "K": ("PR1", "PR4"), "H": ("PR4", "PR5"), "P": ("PR0",), "A": ("PR1", "PR3")}
ENDS = {"E4A": 26, "E45": 16, "E12": 12, "E41": 8, "E8": 38}
ABUSES = {"Neglect": 50, "Emotional abuse": 36, "Physical abuse": 9, "Sexual abuse": 5}
TEAMS = ["Family Front Door", "Safeguarding North", "Safeguarding South", "Looked After Children", "Safeguarding North",
         "Safeguarding South"]  # fmt: skip
WORKERS = len(TEAMS)  # workers for each PEOPLE_PER_TEAM_SET people
PEOPLE_PER_TEAM_SET = 10_000

# {rule of seeds/data_quality_rules.csv: (column, faulty value)}
CHILD_FAULTS = {
    "NHS02": (
        "nhs_number",
        lambda rng, row: f"{row.nhs_number[:9]}{(int(row.nhs_number[9]) + rng.randint(1, 9)) % 10}",
    ),
    "UPN02": ("upn", lambda _, row: f"{'B' if row.upn[0] == 'A' else 'A'}{row.upn[1:]}"),
    "NAM03": ("forename", "Test"),
    "DOB01": ("birth_dttm", "1899-12-30"),
    "CSC05": ("dob_estimated", "Y"),
    "CSC07": ("ethnicity_main_code", "WHIT"),
}
HOME_FAULTS = {"PCD01": ("postcode", lambda rng, _: rng.choice(("nopostcode", "XXXX XXX")))}
PERSON_FAULT = {"CSC01": ("dim_person_id", "-1")}
REFERRAL_FAULTS = PERSON_FAULT | {
    "CSC03": ("refrl_end_dttm", lambda rng, row: f"{row.refrl_start_dttm - timedelta(rng.randint(1, 30))}"),
    "CSC08": ("dim_lookup_category_of_need_code", "N0"),
}
ASSESSMENT_FAULTS = {
    "CSC06": ("start_dttm", lambda rng, row: f"{row.start_dttm - timedelta(rng.randint(15, 60))}"),
}
PLAN_FAULTS = {"CSC09": ("end_dttm", lambda rng, row: f"{row.start_dttm - timedelta(rng.randint(1, 30))}")}
HEADER_FAULTS = {
    "UPN02": ("upn", lambda _, row: f"{'B' if row.upn[0] == 'A' else 'A'}{row.upn[1:]}"),
    "SSD03": ("ethnic", "WHIT"),
}
EPISODE_FAULTS = {"SSD03": ("place", "Q9"), "PCD01": ("home_post", "nopostcode")}
OC2_FAULTS = {"SSD05": ("sdq_score", lambda rng, _: str(rng.randint(41, 99)))}


class Span(NamedTuple):
    """A period in care at one place, from a day up to but excluding another (None: beyond the horizon)."""

    start: date
    end: date | None
    reason: str
    legal: str
    place: str
    provider: str
    end_reason: str
    address: Address


class Journey(NamedTuple):
    """A referral and everything that followed; an end of None is beyond the horizon."""

    start: date
    end: date | None
    need: str
    end_reason: str
    is_nfa: bool
    assessment: tuple[date, date, bool] | None  # first and last day, and whether nothing follows
    plan: tuple[date, date | None, str] | None
    care: list[Span]


class Life(NamedTuple):
    """Everything that the department will ever know about a child."""

    contacts: list[tuple[date, bool, bool]]  # the day, whether a referral follows, whether one is open
    journeys: list[Journey]
    last: date  # eighteenth birthday or death


def rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    """Liquidlogic's rows: one child in twenty is referred in a year, 0.8% are in care at any time."""
    name_typist = NameTypist(county, "liquidlogic")
    block = found = 0
    for household in county.households():
        for person in household.people:
            if person.number // PEOPLE_PER_TEAM_SET != block:
                block, found = person.number // PEOPLE_PER_TEAM_SET, 0
            if found < WORKERS and not person.died and 25 <= person.age(BEGIN) <= 58:
                yield "dim_worker", _worker(county, person, WORKERS * block + found)
                found += 1
            if life := _life(county, person):
                yield from _Case(county, truth, household, person, life, name_typist).rows()


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The files of the SSDA903 return for the year to the last 31 March, of children looked after in it."""
    year_end = date(county.day.year - (county.day < date(county.day.year, 3, 31)), 3, 31)
    lines = {name: [] for name in RETURN}
    for household in county.households():
        for person in household.people:
            if (life := _life(county, person)) and any(journey.care for journey in life.journeys):
                for name, line in _returned(county, household, person, life, year_end):
                    lines[name].append(line)
            if line := _left_care(county, person, year_end):
                lines["oc3"].append(line)
    for name, found in lines.items():
        sent = (_with_fault(truth, name, f"{name}.csv:{n}", line) for n, line in enumerate(found, 1))
        yield f"children/{name}.csv", as_csv(",".join(RETURN[name].split()), (_as_texts(line) for line in sent))


def _worker(county: County, person: Person, number: int) -> Worker:
    rng = county.rng(f"liquidlogic worker {number}")
    hours = rng.choices(("1.00", "0.80", "0.60", "0.50"), (70, 14, 10, 6))[0]
    title, since = rng.choice(("Social Worker", "Senior Social Worker")), datetime.combine(PAST, time(9))
    return Worker(40_000 + number, person.forename, person.surname, title, TEAMS[number % WORKERS], hours, since)


def _workday(day: date) -> date:
    return day + timedelta({5: 2, 6: 1}.get(day.weekday(), 0))


def _life(county: County, person: Person) -> Life | None:
    """A child's whole history whatever the day; None if there is none."""
    if person.born.year + 18 < PAST.year:
        return None
    rng = county.rng(f"liquidlogic {person.number}")
    last = date(person.born.year + 18, person.born.month, min(person.born.day, 28))
    last = min(last, person.died or last)
    day, journeys, contacts, again = max(PAST, person.born - timedelta(100)), [], [], None
    while True:
        arrival = day + timedelta(1 + int(rng.expovariate(0.104 / 365)))
        due, again = min(arrival, again or arrival), None
        day = _workday(due)
        if day >= min(last, HORIZON):
            return Life(contacts, journeys, last) if contacts else None
        is_open = bool(journeys) and (journeys[-1].end is None or journeys[-1].end >= day)
        is_referral = not is_open and (due != arrival or rng.random() < 0.45)
        contacts.append((day, is_referral, is_open))
        if is_referral:
            journeys.append(_journey(county, rng, person, day, last))
            length = journeys[-1].end and (journeys[-1].end - day).days
            if length is not None and length < 300 and rng.random() < 0.28:
                again = journeys[-1].end + timedelta(rng.randint(10, 355 - length))


def _journey(county: County, rng: Random, person: Person, start: date, last: date) -> Journey:
    """A referral: one in seven goes no further, three in five are assessed, some of these lead to plans or care."""

    def until(day: date) -> date | None:
        return min(day, last) if min(day, last) < HORIZON else None

    need, is_nfa = weighted_choice(rng, NEEDS), rng.random() < 0.15
    if is_nfa or rng.random() > 0.71:
        return Journey(start, until(start + timedelta(rng.randint(1, 5 if is_nfa else 40))), need,
                       "RC8" if is_nfa else "RC7", is_nfa, None, None, [])  # fmt: skip
    begun = _workday(start + timedelta(rng.randint(0, 4)))
    done = _workday(begun + timedelta(rng.randint(64, 130) if rng.random() < 0.14 else rng.randint(6, 56)))
    begun, done, ends_there = min(begun, last), min(done, last), rng.random() < 0.4
    if ends_there or done >= min(last, HORIZON):
        return Journey(start, until(done + timedelta(rng.randint(0, 5))), need, "RC8", False, (begun, done, ends_there),
                       None, [])  # fmt: skip
    end, plan, care = done + timedelta(30 + int(rng.expovariate(1 / 150))), None, []
    if rng.random() < 0.32:
        begins = min(done + timedelta(rng.randint(0, 15)), last)
        ends = begins + timedelta(60 + int(rng.expovariate(1 / 260)))
        plan, end = (begins, until(ends), weighted_choice(rng, ABUSES)), max(end, ends + timedelta(90))
    if rng.random() < 0.23 and done + timedelta(40) < last:
        care = list(_care(county, rng, done + timedelta(rng.randint(1, 30)), last, until))
        if plan and (plan[1] is None or plan[1] > care[0].start):
            plan = (min(plan[0], care[0].start), care[0].start, plan[2])
        end = max(end, care[-1].end + timedelta(20)) if care[-1].end else HORIZON
    return Journey(start, until(end), need, "RC6" if end >= last else "RC7", False, (begun, done, False), plan, care)


def _care(county: County, rng: Random, start: date, last: date, until) -> Iterator[Span]:
    """Successive placements until the child leaves care, turns eighteen or dies."""
    leaves, reason, legal = start + timedelta(20 + int(rng.expovariate(1 / 850))), "S", weighted_choice(rng, LEGAL)
    leaves = min(leaves, last)
    homes = len(county.streets()) * 20
    while start < leaves:
        change = min(start + timedelta(14 + int(rng.expovariate(1 / 330))), leaves)
        place, address = weighted_choice(rng, PLACES), home(county.streets(), rng.randrange(homes))
        provider, end = rng.choice(PROVIDERS[place[0]]), until(change)
        ends = weighted_choice(rng, ENDS) if change == leaves else "X1"
        yield Span(start, end, reason, legal, place, provider, ends if end else "", address)
        if end is None:
            return
        start, reason = change, rng.choices(("P", "L", "B"), (75, 15, 10))[0]
        legal = "C2" if reason != "P" and legal == "C1" else legal


class _Case:
    """One child's records as of the day. Record numbers depend on the child's number only."""

    def __init__(
        self, county: County, truth: Truth, household: Household, person: Person, life: Life, name_typist: NameTypist
    ):  # fmt: skip
        self.county, self.day, self.truth, self.household = county, county.day, truth, household
        self.person, self.life, self.name_typist, self.person_id = (
            person,
            life,
            name_typist,
            500_000 + person.number,
        )
        self.rng = county.rng(f"liquidlogic records {person.number}")
        blocks = max(1, county.people // PEOPLE_PER_TEAM_SET)
        self.first_worker = 40_000 + WORKERS * min(person.number // PEOPLE_PER_TEAM_SET, blocks - 1)

    def rows(self) -> Iterator[tuple[str, tuple]]:
        contacts = [contact for contact in self.life.contacts if contact[0] <= self.day]
        if not contacts:
            return
        merged = yield from self._identity(contacts[0][0])
        yield from self._homes(contacts[0][0])
        for n, (day, is_referral, is_open) in enumerate(contacts):
            key = 100 * self.person.number + n
            flags = ("Y" if flag else "N" for flag in (is_referral, is_open, not is_referral and not is_open))
            row = Contact(key, self.person_id, self._at(day, key), weighted_choice(self.rng, SOURCES), *flags, None,
                          self._at(day, key))  # fmt: skip
            yield self._kept("fact_contacts", row, PERSON_FAULT)
        for n, journey in enumerate(self.life.journeys):
            if journey.start <= self.day:
                self.rng = self.county.rng(f"liquidlogic referral {self.person.number} {n}")
                yield from self._journey(100 * self.person.number + n, journey, merged if n == 0 else None)

    def _known(self, day: date | None) -> date | None:
        return day if day and day <= self.day else None

    def _at(self, day: date | None, key: int) -> datetime | None:
        """A time of the day for a record."""
        return day and datetime.combine(day, time(8 + key % 10, key * 7 % 60))

    def _kept(self, table: str, row: tuple, faults: dict, share: float = 0.04, address: Address | None = None) -> tuple:
        self.truth.record_identity(table, row[0], self.person.number, address)
        return table, self.truth.inject_fault(table, row[0], row, faults, share) if faults else row

    def _identity(self, since: date) -> Iterator[tuple[str, tuple]]:
        """The child's record, and sometimes another that was merged into it; returns the other's number."""
        person, rng, is_born = self.person, self.rng, self.person.born <= self.day
        name = self.name_typist(person)
        number = person.upn if person.age(self.day) >= 4 else None
        number = f"{number[0]} {number[1:4]} {number[4:]} " if number and rng.random() < 0.08 else number
        died = self._known(person.died)
        changes = (since, self._known(person.born), died, number and date(person.born.year + 4, person.born.month, 1))
        changed = self._at(max(day for day in changes if day and day <= self.day), self.person_id)
        row = Child(
            self.person_id, person.nhs_number if is_born else None, number, name.forename if is_born else "Unborn",
            name.surname, person.sex if is_born else None, name.born if is_born else None, "N", died,
            person.ethnicity, None, changed,
        )  # fmt: skip
        yield self._kept("dim_person", row, CHILD_FAULTS, 0.12)
        merged = self._known(since + timedelta(rng.randint(1, 60)))
        if rng.random() > 0.03 or not merged or not is_born or person.age(merged) < 0:
            return None
        at = self._at(merged, self.person_id)
        other = row._replace(
            dim_person_id=5_000_000 + person.number, nhs_number=None, upn=None, duplicated_dttm=at,
            updated_dttm=max(changed, at),
        )  # fmt: skip
        yield self._kept("dim_person", other, {})
        return other.dim_person_id

    def _homes(self, since: date) -> Iterator[tuple[str, tuple]]:
        """The household's addresses from the first contact, and the placements of a child in care."""
        homes = [(max(start, since), place) for start, place in self.household.homes if start <= self.day]
        homes = [stay for n, stay in enumerate(homes) if n + 1 == len(homes) or homes[n + 1][0] > since]
        ends = [*(start for start, _ in homes[1:]), None]
        stays = [(*stay, end, "HOME") for stay, end in zip(homes, ends, strict=True)]
        spans = (span for journey in self.life.journeys for span in journey.care if span.start <= self.day)
        stays += [(span.start, span.address, self._known(span.end), "PLACEMENT") for span in spans]
        for n, (start, place, end, kind) in enumerate(stays):
            key = 100 * self.person.number + n
            row = Home(key, self.person_id, kind, self._at(start, 0), self._at(end, 0), place.secondary, place.building,
                       place.number, place.street.name, place.street.town, place.street.postcode,
                       place.uprn if key % 10 else None, self._at(end or start, key))  # fmt: skip
            yield self._kept("dim_person_address", row, HOME_FAULTS, address=place)

    def _journey(self, key: int, journey: Journey, merged: int | None) -> Iterator[tuple[str, tuple]]:
        rng, at, end = self.rng, self._at, self._known(journey.end)
        worker, other = rng.sample(range(self.first_worker, self.first_worker + WORKERS), 2)
        row = Referral(
            key, self.person_id, at(journey.start, key), at(end, key), journey.need,
            journey.end_reason if end else None, "Y" if journey.is_nfa else "N", worker,
            at(end or journey.start, key),
        )  # fmt: skip
        table, row = self._kept("fact_referrals", row, REFERRAL_FAULTS)
        if merged and row.dim_person_id == self.person_id:
            row = self.truth.inject_fault(table, key, row, {"CSC02": ("dim_person_id", str(merged))}, 1)
        yield table, row
        if journey.assessment and journey.assessment[0] <= self.day:
            begun, done, is_nfa = journey.assessment
            done = self._known(done)
            row = Assessment(key, key, self.person_id, at(begun, 9), at(done, 9),
                             ("Y" if is_nfa else "N") if done else None, at(done or begun, 9))  # fmt: skip
            yield self._kept("fact_single_assessment", row, ASSESSMENT_FAULTS)
        if journey.plan and journey.plan[0] <= self.day:
            begun, ended, abuse = journey.plan
            ended = self._known(ended)
            row = Plan(key, key, self.person_id, at(begun, 9), at(ended, 9), abuse, abuse, at(ended or begun, 9))
            yield self._kept("fact_cp_plan", row, PLAN_FAULTS)
        yield from self._care(key, journey)
        yield from self._involvements(key, journey, worker, other)

    def _care(self, key: int, journey: Journey) -> Iterator[tuple[str, tuple]]:
        spans = [span for span in journey.care if span.start <= self.day]
        if not spans:
            return
        ended = self._known(spans[-1].end) if len(spans) == len(journey.care) else None
        yield self._kept("fact_cla", Care(key, key, self.person_id, self._at(spans[0].start, 9), self._at(ended, 9),
                                          self._at(ended or spans[-1].start, 9)), {})  # fmt: skip
        for n, span in enumerate(spans):
            number, end = 100 * key + n, self._known(span.end)
            row = Episode(number, key, self.person_id, span.start, end, span.reason, span.end_reason if end else None,
                          journey.need.replace("N9", "N8"), span.legal, span.place, span.provider,
                          f"SC{400_000 + number % 9_973}", self._at(end or span.start, 9))  # fmt: skip
            late = {"CSC04": ("care_end_date", lambda rng, row: f"{row.care_end_date + timedelta(rng.randint(1, 12))}")}
            yield self._kept("fact_care_episodes", row, late if n + 1 < len(spans) else {}, 0.08)

    def _involvements(self, key: int, journey: Journey, worker: int, other: int) -> Iterator[tuple[str, tuple]]:
        """The worker who takes the referral holds the case; another takes over a long case."""
        handover = journey.start + timedelta(self.rng.randint(60, 200))
        held = [(worker, journey.start, journey.end)]
        if journey.end is None or journey.end > handover + timedelta(30):
            held = [(worker, journey.start, handover), (other, handover, journey.end)]
        for n, (who, begun, ended) in enumerate(held):
            if begun <= self.day:
                ended, number = self._known(ended), 10 * key + n
                row = Involvement(number, key, self.person_id, who, self._at(begun, 9), self._at(ended, 9), "CW", "Y",
                                  self._at(ended or begun, 9))  # fmt: skip
                yield self._kept("fact_involvements", row, {})


def _returned(
    county: County, household: Household, person: Person, life: Life, year_end: date
) -> Iterator[tuple[str, tuple]]:
    """The return's lines about a child looked after in the year to `year_end`, without faults."""
    year_start = date(year_end.year - 1, 4, 1)
    needs = [(span, journey.need) for journey in life.journeys for span in journey.care]
    in_year = [(s, need) for s, need in needs if s.start <= year_end and (s.end is None or s.end >= year_start)]
    if not in_year:
        return
    rng, child, upn = county.rng(f"ssda903 {person.number}"), 500_000 + person.number, person.upn
    yield "header", Line["header"](child, person.sex, person.born, person.ethnicity,
                                   upn if person.age(year_end) >= 4 else "", "", "")  # fmt: skip
    for span, need in in_year:
        end = span.end if span.end and span.end <= year_end else None
        change = rng.choice(("PLACE", "CARPL", "OTHER")) if end and span.end_reason == "X1" else ""
        yield "episodes", Line["episodes"](
            child, span.start, span.reason, span.legal, need.replace("N9", "N8"),
            PLACES_2026.get(span.place, span.place), span.provider, end or "",
            span.end_reason if end else "", change, household.address(span.start).street.postcode,
            span.address.street.postcode, f"SC{400_000 + child % 9_973}",
        )  # fmt: skip
    first, last = max(in_year[0][0].start, year_start), min(in_year[-1][0].end or year_end, year_end)
    due = first + timedelta(20)
    while due < last:
        code = "PN0" if person.age(due) < 4 else rng.choice(("PN1", "PN2", "PN3", "PN5"))
        yield "reviews", Line["reviews"](child, person.born, due, code)
        due += timedelta(rng.randint(80, 180))
    if person.age(last) >= 10 and last > first + timedelta(9) and rng.random() < 0.5:
        gone = first + timedelta(rng.randrange((last - first).days - 8))
        yield (
            "missing",
            Line["missing"](child, person.born, rng.choice("MA"), gone, gone + timedelta(rng.randint(1, 7))),
        )
    if (last - first).days > 200:
        has_score = 4 <= person.age(year_end) <= 16 and rng.random() < 0.8
        checks = (int(rng.random() < share) for share in (0.04, 0.9, 0.85, 0.85, 0.9, 0.04, 0.02, 0.02))
        score, reason = (rng.randint(2, 32), "") if has_score else ("", "SDQ1")
        yield "oc2", Line["oc2"](child, person.born, score, reason, *checks)


def _left_care(county: County, person: Person, year_end: date) -> tuple | None:
    """The return's line about a care leaver: one in a hundred people aged 17 to 21, most from before the first day."""
    rng = county.rng(f"ssda903 left care {person.number}")
    if not 17 <= person.age(year_end) <= 21 or rng.random() >= max(0.01, 60 / county.people):
        return None
    if person.died and person.died <= year_end:
        return Line["oc3"](500_000 + person.number, person.born, "DIED", "", "")
    contact = weighted_choice(rng, {"YES": 88, "NO": 5, "REFU": 3, "NREQ": 2, "RHOM": 2})
    activity = weighted_choice(rng, {"F1": 6, "F2": 20, "F4": 6, "F5": 24, "P5": 4, "G4": 12, "G5": 22, "G6": 6})
    home = weighted_choice(rng, {"U1": 34, "D1": 18, "B1": 14, "Z1": 10, "E1": 8, "K2": 4, "W2": 4, "X2": 4, "S1": 4})
    return Line["oc3"](
        500_000 + person.number, person.born, contact, *((activity, home) if contact == "YES" else ("", ""))
    )


def _with_fault(truth: Truth, name: str, key: str, line: tuple) -> tuple:
    truth.record_identity(name, key, line.child - 500_000)
    faults = {"header": HEADER_FAULTS, "episodes": EPISODE_FAULTS, "oc2": OC2_FAULTS}.get(name, {})
    if name == "missing":
        faults = {"SSD06": ("mis_end", lambda rng, row: row.mis_start - timedelta(rng.randint(1, 9)))}
    if name == "episodes" and line.dec:
        faults = faults | {"SSD01": ("dec", lambda rng, row: row.decom - timedelta(rng.randint(1, 20)))}
    return truth.inject_fault(name, key, line, faults, 0.25) if faults else line


def _as_texts(line: tuple) -> tuple:
    return tuple(f"{value:%d/%m/%Y}" if isinstance(value, date) else value for value in line)
