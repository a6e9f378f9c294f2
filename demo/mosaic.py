"""The demo county's adult social care system: Mosaic's people, requests, assessments, services and reviews.

Terms are those of the Client Level Data return. Times are Europe/London without a zone. A person's care is generated up
to the county's horizon and then cut at its day: later records are absent, later end dates empty.
"""

import math
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from demo.county import County, Truth, columns, weighted_choice
from demo.people import BEGIN, HORIZON, Household, Person
from demo.places import Address, word
from demo.typing_errors import AddressTypist, NameTypist

TABLES = {
    "dm_organisations": "organisation_id*:bigint organisation_name organisation_type",
    "dm_persons": """person_id*:bigint nhs_id:numeric(10) title full_name first_name last_name date_of_birth:date
        date_of_death:date gender restricted full_ethnicity_code email_address created_on:date
        last_updated_on:timestamp""",
    "dm_addresses": """ref_addresses_people_id*:bigint person_id:bigint start_date:date end_date:date address post_code
        unique_id address_type is_contact_address is_display_address last_updated_on:timestamp""",
    "dm_telephone_numbers": """telephone_number_id*:bigint person_id:bigint telephone_number telephone_number_type
        last_updated_on:timestamp""",
    "dm_requests": """request_id*:bigint person_id:bigint request_date:date route_of_access primary_support_reason
        outcome outcome_date:date last_updated_on:timestamp""",
    "dm_assessments": """assessment_id*:bigint person_id:bigint request_id:bigint assessment_type start_date:date
        end_date:date primary_support_reason outcome last_updated_on:timestamp""",
    "dm_services": """service_id*:bigint person_id:bigint assessment_id:bigint service_type service_component
        delivery_mechanism primary_support_reason provider start_date:date end_date:date unit_cost:numeric(10,2)
        cost_frequency planned_units_per_week:numeric(6,2) last_updated_on:timestamp""",
    "dm_reviews": """review_id*:bigint person_id:bigint service_id:bigint review_reason start_date:date end_date:date
        outcome last_updated_on:timestamp""",
}
NAMES = "Organisation Client Home Telephone Request Assessment Service Review"
Organisation, Client, Home, Telephone, Request, Assessment, Service, Review = (
    namedtuple(name, columns(table)) for name, table in zip(NAMES.split(), TABLES.values(), strict=True)
)

FIRST_DAY = date(
    2019, 11, 1
)  # two years before the first deaths in the county, so that there is care from its first day on

COMMUNITY, RESIDENTIAL, NURSING = (
    f"Long Term Support: {name}" for name in ("Community", "Residential Care", "Nursing Care")
)
REABLEMENT = "Short Term Support: ST-Max"
COMMISSIONED = "CASSR Commissioned Support Only"
# {DfE's code: Mosaic's code}
ETHNICITIES = {
    "WBRI": "A.A1", "WIRI": "A.A2", "WOTH": "A.A3", "WROM": "A.A4", "MWBC": "B.B1", "MWAS": "B.B2", "MOTH": "B.B3",
    "AIND": "C.C1", "APKN": "C.C2", "ABAN": "C.C3", "AOTH": "C.C4", "BCRB": "D.D1", "BAFR": "D.D2", "CHNE": "C.C5",
    "OOTH": "E.E1",
}  # fmt: skip
REASONS = {  # shares at ages 18 to 64, and from 65
    "Physical Support: Access & mobility only": (8, 17),
    "Physical Support: Personal care support": (22, 48),
    "Sensory Support: Support for visual impairment": (2, 3),
    "Sensory Support: Support for hearing impairment": (1, 2),
    "Sensory Support: Support for dual impairment": (1, 1),
    "Support with Memory & Cognition": (3, 18),
    "Learning Disability Support": (33, 3),
    "Mental Health Support": (24, 5),
    "Social Support: Substance misuse support": (3, 1),
    "Social Support: Support for Social Isolation / Other": (3, 2),
}
ROUTES = {"Community / other route": 70, "Discharge from hospital": 24, "Planned entry (transition)": 3,
          "Self-funder with depleted funds": 3}  # fmt: skip
ASSESS, REABLE = "Progress to assessment", "Progress to reablement / ST-Max"
OUTCOMES = {ASSESS: 50, REABLE: 9, "NFA - Information & advice / signposting only": 28, "NFA - support declined": 6,
            "NFA - self-funded client": 4, "NFA - other": 3}  # fmt: skip
KINDS = {"Long Term Assessment": 85, "Short Term Assessment": 15}
SUPPORT = "Progress to support planning / services"
NEEDS = {SUPPORT: 50, "NFA - Information & advice / signposting only": 30, "NFA - self-funded client": 12,
         "NFA - support declined": 8}  # fmt: skip


class Component(NamedTuple):
    """A type of service: shares at ages 18 to 64 and from 65, lowest and highest unit cost, frequency, units a week."""

    service_type: str
    name: str
    shares: tuple[int, int]
    cost: tuple[int, int]
    cost_frequency: str
    units: tuple[float, float] = (1, 1)
    mechanism: str = "CASSR Managed Personal Budget"
    has_provider: bool = True


COMPONENTS = [
    Component(COMMUNITY, "Home Support", (24, 44), (21, 27), "Hourly", (3, 28)),
    Component(COMMUNITY, "Day Support", (16, 6), (42, 68), "Session", (1, 5)),
    Component(COMMUNITY, "Supported Living", (20, 2), (640, 1_650), "Weekly"),
    Component(COMMUNITY, "Direct Payment", (19, 8), (480, 2_400), "Four-Weekly", mechanism="Direct Payment Only",
              has_provider=False),
    Component(COMMUNITY, "Shared Lives", (4, 1), (1_500, 2_400), "Monthly", mechanism=COMMISSIONED),
    Component(COMMUNITY, "Community Alarm", (2, 9), (150, 240), "Annually", mechanism=COMMISSIONED),
    Component(RESIDENTIAL, "Residential Care", (12, 19), (740, 1_380), "Weekly", mechanism=""),
    Component(NURSING, "Nursing Care", (3, 11), (880, 1_520), "Weekly", mechanism=""),
]  # fmt: skip
ENABLING = Component(REABLEMENT, "Reablement", (0, 0), (26, 31), "Hourly", (5, 14), mechanism="")


def _misspelt(rng: Random, service: Service) -> str:
    name = service.provider
    return rng.choice((name.upper(), name.replace(" Ltd", " Limited"), name.replace(" Ltd", ""), name.lower(),
                       name.replace(" ", "  ", 1), "See care plan"))  # fmt: skip


# {rule of seeds/data_quality_rules.csv: (column, faulty value)}
CLIENT_FAULTS = {
    "NHS02": ("nhs_id", lambda rng, row: f"{row.nhs_id - row.nhs_id % 10 + (row.nhs_id + rng.randint(1, 9)) % 10}"),
    "DOB01": ("date_of_birth", "1900-01-01"),
    "NAM02": ("last_name", "{last_name}1"),
    "NAM03": ("full_name", "Test Client"),
    "EML01": ("email_address", "{number}"),
    "EML02": ("email_address", "{last_name} at example.org"),
    "ASC01": ("date_of_birth", "{created_on}"),
    "ASC07": ("full_ethnicity_code", "X.X9"),
}
HOME_FAULTS = {
    "ADR01": ("address", "{address} tel {number}"),
    "ADR02": ("address", "NFA"),
    "PCD01": ("post_code", "nopostcode"),
    "UPR01": ("unique_id", "{unique_id}00"),
}
TELEPHONE_FAULTS = {"TEL01": ("telephone_number", "a.person@example.org"), "TEL02": ("telephone_number", "01632 960")}
PROVIDER_FAULT = ("ASC04", ("provider", _misspelt))
FREQUENCY_FAULT = ("ASC05", ("cost_frequency", "Weekly"))
MECHANISM_FAULT = ("ASC03", ("delivery_mechanism", lambda rng, _: rng.choice((" ", "N/A", "-"))))
REASON_FAULT = (
    "ASC06",
    ("primary_support_reason", lambda rng, row: rng.choice([x for x in REASONS if x != row.primary_support_reason])),
)


def rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    """Mosaic's rows: in any five years one adult in 25 has asked for help, from 65 one in eight."""
    providers, typed, name_typist = (
        _providers(county),
        AddressTypist(county, "mosaic"),
        NameTypist(county, "mosaic"),
    )
    yield from (("dm_organisations", provider) for provider in providers)
    names = [provider.organisation_name for provider in providers if provider.organisation_type == "Care provider"]
    for household in county.households():
        for person in household.people:
            rng = county.rng(f"mosaic {person.number}")
            if rng.random() < (0.185 if person.age(date(2024, 10, 31)) > 64 else 0.055):
                yield from _Care(county, truth, rng, household, person, names, typed, name_typist).rows()


@cache
def _providers(county: County) -> list[Organisation]:
    """Sixty care providers, and other organisations in Mosaic."""
    rng, found = county.rng("mosaic organisations"), {}
    while len(found) < 70:
        is_provider = len(found) < 60
        ends = ("Care Ltd", "Homecare Ltd", "Support Ltd", "House Ltd") if is_provider else ("Surgery", "Hospital")
        found.setdefault(f"{word(rng)} {rng.choice(ends)}", "Care provider" if is_provider else "Health")
    return [Organisation(40_000 + n, *provider) for n, provider in enumerate(found.items())]


@cache
def _days() -> tuple[list[date], list[float]]:
    """Days of requests and their cumulative weights: more each year and in winter, few at weekends."""
    days = [FIRST_DAY + timedelta(n) for n in range((HORIZON - FIRST_DAY).days)]
    weights = (
        (1 + 0.05 * (day - BEGIN).days / 365)
        * (1 + 0.15 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 20) / 365))
        * (0.15 if day.weekday() > 4 else 1)
        for day in days
    )
    return days, list(accumulate(weights))


def _at(day: date, key: int) -> datetime:
    """A time of the day for a record."""
    return datetime.combine(day, time(8 + key % 10, key * 7 % 60))


class _Care:
    """One person's care. Record numbers depend on the person's number only."""

    def __init__(
        self, county: County, truth: Truth, rng: Random, household: Household, person: Person, names: list[str],
        typed: AddressTypist, name_typist: NameTypist,
    ):  # fmt: skip
        self.county, self.day, self.truth, self.rng, self.names = county, county.day, truth, rng, names
        self.ended_on = name_typist(person)
        self.household, self.person, self.typed = household, person, typed
        self.person_id = 500_000 + person.number
        self.death_recorded = person.died and person.died + timedelta(2)  # when the death is recorded
        self.is_dead = bool(person.died) and self.death_recorded <= county.day

    def rows(self) -> Iterator[tuple[str, tuple]]:
        days, weights = _days()
        number = self.rng.choices((1, 2, 3, 4), (70, 20, 7, 3))[0]
        asked = sorted({day for day in self.rng.choices(days, cum_weights=weights, k=number) if self._can_ask(day)})
        asked = [day for day in asked if day <= self.day]
        if asked:
            yield from self._identity(asked[0])
        for n, day in enumerate(asked):
            key = 4 * self.person.number + n
            self.rng = self.county.rng(
                f"mosaic request {key}"
            )  # a generator per request, so that later requests do not change earlier ones
            yield from self._request(key, day)

    def _can_ask(self, day: date) -> bool:
        return self.person.age(day) >= 18 and self.person.is_alive(day)

    def _identity(self, since: date) -> Iterator[tuple[str, tuple]]:
        rng, person, person_id, ended_on = self.rng, self.person, self.person_id, self.ended_on
        last_name = ended_on.surname.upper() if rng.random() < 0.05 else ended_on.surname
        client = Client(
            person_id, int(person.nhs_number), "Ms" if person.sex == "F" else "Mr",
            f"{ended_on.forename} {ended_on.surname}", ended_on.forename, last_name, ended_on.born,
            person.died if self.is_dead else None, person.sex, "Y" if rng.random() < 0.04 else "N",
            ETHNICITIES[person.ethnicity], person.email, since,
            _at(self.death_recorded if self.is_dead else since, person_id),
        )  # fmt: skip
        yield self._kept("dm_persons", client, CLIENT_FAULTS, 0.15)
        gone = self.death_recorded if self.is_dead else date.max
        homes = [
            (max(start, since), home) for start, home in self.household.homes if start <= self.day and start < gone
        ]
        homes = [home for n, home in enumerate(homes) if n + 1 == len(homes) or homes[n + 1][0] > since]
        for n, (start, home) in enumerate(homes):
            end = homes[n + 1][0] if n + 1 < len(homes) else None
            key = 10 * person_id + n
            typed = self.typed(home, key)
            row = Home(key, person_id, start, end, f"{typed.line}, {typed.town}", typed.postcode, typed.uprn, "Home",
                       *(("N" if end else "Y"),) * 2, _at(end or start, key))  # fmt: skip
            yield self._kept("dm_addresses", row, HOME_FAULTS, 0.04, home, typed.edits)
        row = Telephone(person_id, person_id, person.telephone, "Home", _at(since, person_id))
        yield self._kept("dm_telephone_numbers", row, TELEPHONE_FAULTS, 0.04)

    def _kept(
        self, table: str, row: tuple, faults: dict | None = None, share: float = 0, home: Address | None = None,
        edits: str = "",
    ) -> tuple:  # fmt: skip
        self.truth.record_identity(table, row[0], self.person.number, home, edits)
        return table, self.truth.inject_fault(table, row[0], row, faults, share) if faults else row

    def _known(self, day: date | None) -> date | None:
        """The day, if it has come and the person was alive."""
        return day if day and day <= self.day and self.person.is_alive(day) else None

    def _updated(self, key: int, *days: date | None) -> datetime:
        return _at(max(day for day in days if day), key)

    def _request(self, key: int, asked: date) -> Iterator[tuple[str, tuple]]:
        """The request and its outcome."""
        rng, is_older = self.rng, self.person.age(asked) > 64
        reason = rng.choices(list(REASONS), [shares[is_older] for shares in REASONS.values()])[0]
        route, outcome, decided = (
            weighted_choice(rng, ROUTES),
            weighted_choice(rng, OUTCOMES),
            asked + timedelta(rng.randrange(8)),
        )
        ended_on = self._known(decided)
        row = Request(3_000_000 + key, self.person_id, asked, route, reason, outcome if ended_on else None, ended_on,
                      self._updated(key, asked, ended_on))  # fmt: skip
        yield self._kept("dm_requests", row)
        if outcome == ASSESS:
            yield from self._assessment(key, asked, decided, reason, is_older)
        elif outcome == REABLE:
            start = decided + timedelta(rng.randint(1, 5))
            yield from self._service(10 * key, ENABLING, None, reason, start, start + timedelta(rng.randint(14, 42)))

    def _assessment(
        self, key: int, asked: date, decided: date, reason: str, is_older: bool
    ) -> Iterator[tuple[str, tuple]]:
        rng = self.rng
        start = decided + timedelta(int(rng.expovariate(1 / 18)))
        end = start + timedelta(1 + int(rng.expovariate(1 / 16)))
        kind, outcome, ended_on = weighted_choice(rng, KINDS), weighted_choice(rng, NEEDS), self._known(end)
        if not self._known(start):
            return
        row = Assessment(6_000_000 + key, self.person_id, 3_000_000 + key, kind, start, ended_on, reason,
                         outcome if ended_on else None, self._updated(key, start, ended_on))  # fmt: skip
        too_early = {"ASC08": ("start_date", lambda rng, _: f"{asked - timedelta(rng.randint(1, 60))}")}
        yield self._kept("dm_assessments", row, too_early, 0.05)
        if outcome == SUPPORT:
            shares = [component.shares[is_older] for component in COMPONENTS]
            first, second = rng.choices(COMPONENTS, shares, k=2)
            both = first.service_type == second.service_type == COMMUNITY and first != second and rng.random() < 0.4
            for n, component in enumerate([first, second] if both else [first]):
                begun = end + timedelta(1 + int(rng.expovariate(1 / 12)))
                ended = begun + timedelta(30 + int(rng.expovariate(1 / 850)))
                yield from self._service(10 * key + n, component, row.assessment_id, reason, begun, ended)

    def _service(
        self, key: int, component: Component, assessment: int | None, reason: str, begun: date, ended: date
    ) -> Iterator[tuple[str, tuple]]:
        """A service until its end or the person's death; sometimes a death does not end it."""
        rng, died = self.rng, self.person.died
        cost, units, provider = (rng.uniform(*component.cost), round(2 * rng.uniform(*component.units)) / 2,
                                 rng.choice(self.names))  # fmt: skip
        is_forgotten, reviews = rng.random() < 0.25, list(self._reviews(key, component, begun, ended))
        if not self._known(begun):
            return
        ends_by_death = self.is_dead and died <= ended
        ended_on = died if ends_by_death else self._known(ended)
        changed = begun if ends_by_death and is_forgotten else self.death_recorded if ends_by_death else ended_on
        row = Service(
            20_000_000 + key, self.person_id, assessment, component.service_type, component.name,
            component.mechanism or None, reason, provider if component.has_provider else None, begun, ended_on,
            f"{cost:.2f}", component.cost_frequency, units, self._updated(key, begun, changed),
        )  # fmt: skip
        faults = dict([
            PROVIDER_FAULT,
            *([MECHANISM_FAULT] if component.service_type == COMMUNITY else []),
            *([FREQUENCY_FAULT] if component.cost_frequency == "Hourly" else []),
            *([REASON_FAULT] if assessment else []),
        ])  # fmt: skip
        table, row = self._kept("dm_services", row, faults, 0.15)
        if ends_by_death and is_forgotten:
            row = self.truth.inject_fault(table, row.service_id, row, {"ASC02": ("end_date", "")}, 1)
        yield table, row
        yield from reviews

    def _reviews(self, key: int, component: Component, begun: date, ended: date) -> Iterator[tuple[str, tuple]]:
        """Reviews of long-term support after six weeks and then about every year."""
        rng, due, n = self.rng, begun + timedelta(42), 0
        while due < min(ended, HORIZON) and component is not ENABLING:
            done = due + timedelta(rng.randrange(21))
            outcome = rng.choices(("No change in package", "Package increased", "Package decreased"), (70, 20, 10))[0]
            reason = "Planned" if rng.random() < 0.85 else "Unplanned - change in needs"
            ended_on = self._known(done)
            if self._known(due):
                review = 100 * key + n
                row = Review(3_000_000_000 + review, self.person_id, 20_000_000 + key, reason, due, ended_on,
                             outcome if ended_on else None, self._updated(review, due, ended_on))  # fmt: skip
                yield self._kept("dm_reviews", row)
            due, n = due + timedelta(365 + rng.randint(-40, 60)), n + 1
