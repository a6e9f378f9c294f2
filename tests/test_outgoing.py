"""The scan of report feeds: personal data stop a file, and the message names row and column only."""

from pathlib import Path

import pytest

from tests.support import Trial, feed_report
from warehouse.errors import OutgoingError
from warehouse.outgoing import KINDS, PATTERNS, Scan, _kinds, is_nhs_number

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e) public task: trying"}
PEOPLE = {
    "name": "people",
    "load": "replace",
    "subject": "person_no",
    "columns": {"person_no": "text", "forename": "text", "surname": "text"},
    "identifiers": {"person_no": "person_number", "forename": "name", "surname": "name"},
}
CALLERS = {
    "name": "callers",
    "load": "replace",
    "subject": "caller",
    "columns": {"caller": "text"},
    "identifiers": {"caller": "name"},
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Call Jo on 01632 960123", "telephone"),
        ("+44 (0)7700 900461", "telephone"),
        ("0044 20 7946 0018", "telephone"),
        ("07700900461", "telephone"),
        ("a.person@example.org", "email"),
        ("NHS 943 476 5919", "nhs_number"),
        ("9434765919", "nhs_number"),
        ("paid for qq123456c and PW 12 34 56 C", "nino"),
        ("GB 012 3456 20", None),  # a VAT number
        ("9434765918", None),  # a wrong check digit
        ("1900100001", None),  # the number of a payment: not in a range of NHS numbers
        ("2026-07-01 01:02:03", None),
        ("INV-00123/0456789", None),
        ("Highways @ County Hall", None),
        ("ZZ123456A", None),  # no prefix of a NINO
    ],
)
def test_contact_details_and_identifiers_are_found_in_text(text: str, kind: str | None) -> None:
    assert _kinds(text) == ([kind] if kind else [])


def test_an_nhs_number_has_a_valid_check_digit() -> None:
    assert [is_nhs_number(f"943476591{digit}") for digit in range(10)].count(True) == 1


def test_a_scan_names_rows_columns_and_kinds_but_no_value() -> None:
    scan = Scan(["Purpose", "Invoice"], {"Purpose": ["name"], "Invoice": ["name", "telephone"]})
    scan.add(["a.person@example.org, 01632 960123", "01632960123"])
    scan.add(["FEES", None])
    scan.add(["ok", "a.person@example.org"])
    with pytest.raises(OutgoingError) as stopped:
        scan.finish()
    assert str(stopped.value) == (
        "row 1, column Purpose: an e-mail address; row 1, column Purpose: a telephone number; "
        "row 3, column Invoice: an e-mail address"
    )


def test_an_exception_for_an_unknown_column_or_kind_is_refused() -> None:
    for allowed in ({"Purpose ": ["email"]}, {"Purpose": ["e-mail"]}):
        with pytest.raises(OutgoingError, match="names no column or kind"):
            Scan(["Purpose"], allowed)
    assert PATTERNS.keys() | {"name"} == KINDS.keys()


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_feed_with_the_name_of_a_person_in_the_vault_is_not_written(trial: Trial, tmp_path: Path, form: str) -> None:
    from warehouse.feeds.files import write_report

    trial.source(
        "create table people (person_no text, forename text, surname text); "
        "insert into people values ('1', 'Zebedee', 'Quxworthy'), ('2', 'Amber', 'Wren'), ('3', 'Rowan', 'Yew'); "
        "create table callers (caller text); insert into callers values ('Mrs Ida Thistlewood-Sloe')"
    )
    trial.load(PEOPLE, **BASIS)
    trial.load(CALLERS, name="raw_twin", **BASIS)
    trial.sql(
        "create table conformed.rpt_names as select * from (values ('Amber Yew', 'x'), ('Care for Zebedee', 'y'), "
        "('Rowan & Wren', 'z')) as r (words, other); grant select on conformed.rpt_names to svc_dbt"
    )
    file, report = tmp_path / f"names.{form}", feed_report("rpt_names", form)
    assert write_report(report, file) == 3, "the names are not those of one person"
    before = file.read_bytes()
    trial.sql(
        "insert into conformed.rpt_names values ('Direct payment quxworthy, ZEBEDEE', 'w'), "
        "('Fees of Ida Thistlewood-Sloe (June)', 'v')"
    )
    with pytest.raises(OutgoingError) as stopped:
        write_report(report, file)
    named = ["row 3, column words: the name of a person in the vault", "row 4, column words: the name of a person in"]
    assert str(stopped.value).startswith("; ".join(named))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    assert write_report(feed_report("rpt_names", form, may_contain={"words": ["name"]}), file) == 5
