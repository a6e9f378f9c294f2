"""Rules of identifiers, compared with an independent implementation if one exists, and with the truth of the county."""

import csv
import re
from random import Random

import pyarrow as pa
import pytest
import yaml
from stdnum.gb import nhs, upn, utr

from demo import highways
from demo.county import County, Truth
from ingestion.contracts import read_contracts
from ingestion.privacy import canonical_forms
from ingestion.standards import RULES, UPN_LETTERS, violations
from tests.support import ROOT, Trial, Warehouse, trial_system

EXAMPLES = [  # kind, value, rule violation
    ("nhs_number", "943 476 5919", None),
    ("nhs_number", "943-476-5919", None),
    ("nhs_number", "94347659190", "NHS01"),
    ("nhs_number", "not known", "NHS01"),
    ("nhs_number", "943 476 5918", "NHS02"),
    ("nhs_number", "999 123 4578", "NHS03"),
    ("upn", "A12345678901", "UPN01"),
    ("upn", "I123456789012", "UPN01"),
    ("nino", "AB 12 34 56 C", None),
    ("nino", "ab123456c", None),
    ("nino", "AB123456E", "NIN01"),
    ("nino", "DA123456A", "NIN01"),
    ("nino", "AO123456A", "NIN01"),
    ("nino", "BG123456A", "NIN02"),
    ("utr", "1234567890 1", "UTR01"),
    ("utr", "unknown", "UTR01"),
    ("uprn", "990000012345", None),
    ("uprn", "9900000123456", "UPR01"),
    ("uprn", "9.9E+11", "UPR01"),
    ("postcode", "WR5 2NP", None),
    ("postcode", "ec1a 1bb", None),
    ("postcode", "WR5 2N", "PCD01"),
    ("postcode", "nopostcode", "PCD01"),
    ("postcode", "Worcester", "PCD01"),
    ("date_of_birth", "1950-05-23", None),
    ("date_of_birth", "1900-01-01", "DOB01"),
    ("email", "a.person+x@example.co.uk", None),
    ("email", "01632 960123", "EML01"),
    ("email", "a.person@example", "EML02"),
    ("email", "a person at example.org", "EML02"),
    ("telephone", "01632 960123", None),
    ("telephone", "+44 (0)1632 960123", None),
    ("telephone", "+1 202 555 0123", None),
    ("telephone", "a.person@example.org", "TEL01"),
    ("telephone", "960123", "TEL02"),
    ("name", "Zoe O'Connor-Smith", None),
    ("name", "Noneley Testament", None),
    ("name", "A Person 01632 960123", "NAM01"),
    ("name", "a.person@example.org", "NAM01"),
    ("name", "J0hn", "NAM02"),
    ("name", "TEST PERSON", "NAM03"),
    ("address", "Flat 12, 140 The Smith Street, Worcester WR5 2NP", None),
    ("address", "12 Smith Street ring 01632 960123", "ADR01"),
    ("address", "N/A", "ADR02"),
    ("address", "Unknown Lane, Worcester", None),
]


def found(kind: str, values: list[str | None]) -> list[str | None]:
    texts = pa.chunked_array([values], pa.string())
    return violations(kind, texts, canonical_forms(kind, texts)[""]).to_pylist()


@pytest.mark.parametrize(("kind", "value", "fault"), EXAMPLES)
def test_a_value_breaks_the_expected_rule(kind: str, value: str, fault: str | None) -> None:
    assert found(kind, [value]) == [fault]


@pytest.mark.parametrize("kind", RULES)
def test_an_empty_value_breaks_no_rule(kind: str) -> None:
    assert found(kind, [None, "", "  "]) == [None] * 3


def test_nhs_numbers_agree_with_the_nhs_definition() -> None:
    rng = Random(2026)
    numbers = [f"{rng.randrange(10**10):010d}" for _ in range(20_000)]
    expected = [None if nhs.is_valid(number) and number[:3] != "999" else "NHS02" for number in numbers]
    kept = [place for place, number in enumerate(numbers) if number[:3] != "999"]
    judged = found("nhs_number", numbers)
    assert [judged[place] for place in kept] == [expected[place] for place in kept]
    assert judged.count(None) > 1_500
    lost = [str(int(number)) for number in numbers if number[0] == "0" and nhs.is_valid(number)]
    assert found("nhs_number", lost) == [None] * len(lost), "a numeric column has lost the leading zeros"


def test_upns_agree_with_the_department_for_educations_definition() -> None:
    rng, letters = Random(2026), UPN_LETTERS
    numbers = [f"{rng.choice(letters)}823{rng.randrange(10**9):09d}" for _ in range(20_000)]
    numbers += [f"{number[:-1]}{rng.choice(letters)}" for number in numbers[:5_000]]
    for number, fault in zip(numbers, found("upn", numbers), strict=True):
        check = upn.calc_check_digit(number) == number[0]
        assert fault == (("UPN03" if number[-1].isalpha() else None) if check else "UPN02"), number


def test_taxpayer_references_agree_with_the_hmrc_definition() -> None:
    rng = Random(2026)
    numbers = [f"{rng.randrange(10**10):010d}" for _ in range(20_000)]
    judged = found("utr", numbers)
    assert judged == [None if utr.is_valid(number) else "UTR02" for number in numbers]
    assert judged.count(None) > 1_500


def test_findings_of_another_county_are_exactly_the_injected_faults() -> None:
    truth = Truth(made := County(2026, people=100), "confirm")
    table = next(table for table in read_contracts()["confirm"].tables if table.name == "enquiry_customer")
    rows, judged = [row for name, row in highways.rows(made, truth) if name == "enquiry_customer"], set()
    for column in (column for column in table.identifiers if column.identifier in RULES):
        codes = found(column.identifier, [getattr(row, column.name) for row in rows])
        judged |= {(str(row.enquiry_number), column.name, code) for row, code in zip(rows, codes, strict=True) if code}
    spoilt = [
        (fault["record_key"], fault["column_name"], fault["rule_code"])
        for fault in truth.read()[0]
        if fault["raw_table"] == "raw_confirm.enquiry_customer"
    ]
    assert len(spoilt) == len(judged) > 40
    assert judged == set(spoilt)


def test_every_rule_is_in_the_seed_of_rules() -> None:
    with (ROOT / "seeds/data_quality_rules.csv").open(encoding="utf-8") as file:
        listed = {row["rule_code"] for row in csv.DictReader(file)}
    assert {code for rules in RULES.values() for code in rules} <= listed


def test_a_column_with_the_name_of_a_finding_column_is_refused() -> None:
    people = {"name": "people", "load": "replace", "subject": "email", "identifiers": {"email": "email"}}
    with pytest.raises(ValueError, match="declared twice: email_fault"):
        trial_system(people | {"columns": {"email": "text", "email_fault": "text"}})


def test_the_finding_is_in_the_row_of_the_token(trial: Trial) -> None:
    trial.source(
        "create table people (nhs_no numeric(10), email text); insert into people values "
        "(9434765919, 'x@example.org'), (9434765918, '01632 960123'), (null, null)"
    )
    people = {
        "name": "people",
        "load": "replace",
        "subject": "nhs_no",
        "columns": {"nhs_no": "numeric(10,0)", "email": "text"},
        "identifiers": {"nhs_no": "nhs_number", "email": "email"},
    }
    trial.load(people, lawful_basis="UK GDPR article 6(1)(e) public task: trying")
    assert trial.sql("select nhs_no is null, nhs_no_fault, email_fault from raw_trial.people order by 1, 2") == [
        (False, "NHS02", "EML01"),
        (False, None, None),
        (True, None, None),
    ]


def test_an_address_in_columns_has_one_token_and_a_birth_date_keeps_its_month(trial: Trial) -> None:
    trial.source(
        "create table people (person_no int, house_no text, street text, town text, born date); "
        "insert into people values "
        "(1, '12', ' Wren Lane', 'Malvern', '1948-03-17'), (2, '12 Wren Lane', '', 'MALVERN', '1900-01-01'), "
        "(3, '12', 'Wren Lane', 'Evesham', null), (4, null, '', null, '2020-02-29')"
    )
    people = {
        "name": "people",
        "load": "replace",
        "subject": "person_no",
        "columns": {"person_no": "bigint", "address": "text", "born": "date"},
        "identifiers": {"person_no": "person_number", "address": "address", "born": "date_of_birth"},
        "of": {"address": ["house_no", "street", "town"]},
    }
    trial.load(people, lawful_basis="UK GDPR article 6(1)(e) public task: trying")
    landed = trial.sql("select address, born_month from raw_trial.people")
    assert [month for _, month in landed] == ["1948-03-01", None, None, "2020-02-01"]
    assert landed[0][0] == landed[1][0] != landed[2][0]
    assert landed[3][0] is None
    held = trial.sql("select column_name from information_schema.columns where table_schema = 'raw_trial_store'")
    assert not {"house_no", "street", "town"}.intersection(name for (name,) in held)


RIGHT = ["Ann Wren", "1 Elm Road, Worcester WR1 1AA", "WR1 1AA", "ann@example.org", "01632 960123"]
MISPLACED = [  # changed fields, in the order of RIGHT; the finding; fields that are then empty
    ({}, {}, set()),
    ({"email": "01632 960123", "phone": None}, {"email": "EML01>phone"}, {"email"}),
    ({"email": "tel 01632 960123"}, {"email": "EML01"}, None),  # both are filled: the value stays
    ({"email": None, "phone": "Ann@example.org"}, {"phone": "TEL01>email"}, {"phone"}),
    ({"name": "Ann Wren, ann@example.org", "email": ""}, {"name": "NAM01>email"}, set()),
    ({"address": "1 Elm Rd. Worcester WR1 1AA tel 01632 960123", "phone": ""}, {"address": "ADR01>phone"}, set()),
    ({"address": "Mrs Ann Wren, 1 Elm Road, Worcester WR1 1AA", "name": None}, {"address": "ADR03>name"}, set()),
    ({"postcode": " "}, {"address": "ADR04>postcode"}, set()),
]


def test_a_misplaced_value_moves_to_its_own_column_if_that_is_empty(trial: Trial) -> None:
    kinds = {"name": "name", "address": "address", "postcode": "postcode", "email": "email", "phone": "telephone"}
    trial.source(f"create table people (person_no int, place int, {', '.join(f'{field} text' for field in kinds)})")
    for place, (otherwise, _, _) in enumerate(MISPLACED):
        came = (dict(zip(kinds, RIGHT, strict=True)) | otherwise).values()
        trial.source("insert into people values (%s, %s, %s, %s, %s, %s, %s)", (place, place, *came))
    people = {"name": "people", "load": "replace", "subject": "person_no"}
    people |= {"columns": {"person_no": "bigint", "place": "bigint"} | dict.fromkeys(kinds, "text")}
    people |= {"identifiers": {"person_no": "person_number"} | kinds}
    trial.load(people, lawful_basis="UK GDPR article 6(1)(e) public task: trying")
    columns = ", ".join([*kinds, *(f"{field}_fault" for field in kinds)])
    landed = trial.sql(f"select {columns} from raw_trial.people order by place")
    right = dict(zip(kinds, landed[0][:5], strict=True))
    for (_, said, missing), row in zip(MISPLACED, landed, strict=True):
        assert {field: code for field, code in zip(kinds, row[5:], strict=True) if code} == said
        if missing is not None:
            assert dict(zip(kinds, row[:5], strict=True)) == right | dict.fromkeys(missing), said


def test_identifier_findings_are_exactly_the_injected_faults(warehouse: Warehouse) -> None:
    customers = "raw_confirm.enquiry_customer"
    truth = {fault for fault in warehouse.faults("confirm") if fault[0] == customers}
    findings = [finding for finding in warehouse.findings("confirm") if finding[0] == customers]
    reader = warehouse("url", "--reader", "pbi_data_quality").strip()
    assert len(truth) == len(findings) > 300
    assert set(findings) == truth
    assert warehouse.sql('select sum("Values") from quality.rpt_findings_by_rule', url=reader) == warehouse.sql(
        "select sum(values_with_a_finding) from quality.fct_column_checks", url=reader
    )


def test_each_code_list_of_a_return_has_an_owner_an_edition_and_years() -> None:
    own = "Council's own list"
    owners = {row["owner"] for row in csv.DictReader((ROOT / "seeds/data_quality_rules.csv").open(encoding="utf-8"))}
    seeds = yaml.safe_load((ROOT / "seeds/_seeds.yml").read_text(encoding="utf-8"))["seeds"]
    declared = {seed["name"]: (seed.get("config") or {}).get("meta") or {} for seed in seeds}
    for name, meta in declared.items():
        with (ROOT / f"seeds/{name}.csv").open(encoding="utf-8") as file:
            codes = list(csv.DictReader(file))
        if "code_list" in codes[0]:
            assert {row["code_list"] for row in codes} == set(meta["lists"]), name
        for code_list in meta.get("lists", {"": meta}).values() if meta else ():
            assert code_list["owner"] in owners
            assert code_list["edition"] == own or re.search(r"20\d\d", code_list["edition"])
        for row in codes:
            first, last = (row.get(f"{end}_collection_year") or "" for end in ("first", "last"))
            assert re.fullmatch(r"(20\d\d)?", first)
            assert re.fullmatch(r"(20\d\d)?", last)
            assert not (first and last) or first <= last
    assert sum(len(meta.get("lists", [meta])) for meta in declared.values() if meta) > 25
