"""Purchasing, free text of the ledger, and highways: findings are the injected faults, and totals add up."""

import csv
import io
import zipfile
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from demo import finance, highways, procurement
from demo.county import County, Truth
from tests.support import Warehouse, feed_report
from tests.support import rows as query
from warehouse.errors import OutgoingError

COUNTY = County(people=1_000)
SMALL = County(people=100)
LATER = SMALL._replace(day=date(2026, 12, 31))
MARTS = "dbt_project/models/marts/finance"


def rows(module, county: County) -> dict[str, list]:
    found = defaultdict(list)
    for table, row in module.rows(county, Truth(county, "trial")):
        found[table].append(row)
    return found


@pytest.fixture(scope="module")
def bought() -> dict[str, list]:
    return rows(procurement, COUNTY)


@pytest.mark.parametrize(
    ("module", "changing"),
    [(highways, {"central_enquiry", "defect", "ward", "site_ward"}), (procurement, {"apoheader", "apinvoice"})],
)
def test_a_later_day_of_purchasing_and_highways_keeps_earlier_rows_and_adds_new_ones(
    module, changing: set[str]
) -> None:
    before, after = rows(module, SMALL), rows(module, LATER)
    keys = {
        name: [place for place, part in enumerate(table.split()) if "*" in part]
        for name, table in module.TABLES.items()
    }
    for name, found in before.items():
        later = {tuple(row[place] for place in keys[name]): row for row in after[name]}
        changed = {key for row in found if later[key := tuple(row[place] for place in keys[name])] != row}
        assert bool(changed) == (name in changing), name
        assert len(later) == len(after[name]) >= len(found)
    updated = [row.last_update for found in before.values() for row in found if hasattr(row, "last_update")]
    assert all(moment.date() <= COUNTY.day for moment in updated)


def test_files_of_past_years_stay_identical_and_the_current_file_grows() -> None:
    before, after = (dict(finance.files(county, Truth(county, "erp"))) for county in (SMALL, LATER))
    assert before.keys() == after.keys()
    grown = {path for path in before if before[path] != after[path]}
    assert grown == {path for path in before if "2026-27" in path}
    cards = next(path for path in grown if path.endswith(".csv"))
    assert set(before[cards].splitlines()) < set(after[cards].splitlines())


def test_a_larger_county_has_proportionally_more_rows_above_80_000() -> None:
    assert [County(people=people).size for people in (100, 1_000, 80_000, 600_000)] == [0.1, 1, 1, 7.5]
    assert len(finance.suppliers(County(people=160_000))) == 2 * len(finance.suppliers(COUNTY))


def test_customers_are_people_of_the_county() -> None:
    truth, made = Truth(SMALL, "confirm"), {}
    for table, row in highways.rows(SMALL, truth):
        if table == "enquiry_customer":
            made[str(row.enquiry_number)] = row
    faults, records = truth.read()
    spoilt = {fault["record_key"] for fault in faults if fault["raw_table"] == "raw_confirm.enquiry_customer"}
    people = {
        str(person.number): (person, household) for household in SMALL.households() for person in household.people
    }
    assert made.keys() == {record["record_key"] for record in records}
    assert 0.02 < len(spoilt) / len(made) < 0.04
    for record in records:
        row, (person, household) = made[record["record_key"]], people[record["person"]]
        day = row.last_updated_time.date()
        assert person.is_alive(day)
        assert person.age(day) >= 16
        if record["record_key"] not in spoilt:
            home = household.address(day)
            assert row.customer_name.strip().lower() == f"{person.forename} {person.surname}".lower()
            assert row.customer_address == f"{home.line}, {home.street.town}"
            assert (row.customer_email, str(home.key)) == (person.email, record["address"])


@pytest.mark.parametrize("system", ["confirm", "erp", "procurement"])
def test_finance_and_highways_findings_are_exactly_the_injected_faults(warehouse: Warehouse, system: str) -> None:
    truth = Counter(warehouse.faults(system))
    assert Counter(warehouse.findings(system)) == truth
    expected = {"confirm": {"HWY"}, "erp": {"FIN", "VAT"}, "procurement": {"COM", "CHY", "FIN", "SUP", "UTR", "VAT"}}
    assert {code[:3] for *_, code in truth} >= expected[system]


def test_contracts_and_budgets_equal_the_source(warehouse: Warehouse, bought: dict[str, list]) -> None:
    contracts = warehouse.sql("select count(*), sum(annual_value_gbp)::float from finance.fct_contracts")
    total = sum(row.annual_value for row in bought["contract"])
    assert contracts == [(len(bought["contract"]), pytest.approx(total, abs=0.01))]
    budget = warehouse.sql("select sum(budget_gbp)::float from finance.fct_budget_months")[0][0]
    assert budget == pytest.approx(sum(row.amount for row in bought["aglbudget"]), abs=0.01)
    spans = defaultdict(list)
    for row in bought["contract"]:
        spans[row.apar_id].append((row.start_date, row.end_date))
    lines = [
        line
        for year in finance.years(COUNTY)
        for line, _ in finance.ledger(COUNTY, year)
        if line.payment_date <= COUNTY.day and line.beneficiary_other_id != "Redacted"
    ]
    off = [
        line
        for line in lines
        if not any(start <= line.payment_date <= end for start, end in spans[line.beneficiary_other_id])
    ]
    published = "select count(*) from finance.fct_supplier_payments where not is_on_contract"
    assert warehouse.sql(published) == [(len(off),)]
    assert 0.2 < len(off) / len(lines) < 0.6


def test_repeat_enquiries_and_backlog_equal_the_source(warehouse: Warehouse) -> None:
    """The test compares every pair of enquiries about one subject; the warehouse does not."""
    found = warehouse.sql(
        "select array_agg(array[enquiry_number, extract(epoch from logged_at), easting, northing]::float[]) "
        "from staging.stg_confirm__enquiries "
        "inner join staging.stg_confirm__enquiry_subjects using (service_code, subject_code) group by subject_name"
    )
    repeats = 0
    for (enquiries,) in found:
        number, logged_at, *place = np.array(enquiries, float).T[:, np.newaxis]
        age = logged_at.T - logged_at
        near = np.hypot(*(axis.T - axis for axis in place)) <= 50
        repeats += np.sum(np.any((number < number.T) & (age >= 0) & (age <= 28 * 86_400) & near, axis=1))
    published = "select count(*) from highways.fct_enquiries where is_repeat"
    assert warehouse.sql(published) == [(repeats,)]
    assert repeats > 500
    counted = (
        "select count(*), count(*) filter (where required_completion_date <= '2026-06-30') from highways.fct_defects "
        "where reported_date <= '2026-06-30' and coalesce(completed_date, 'infinity') > '2026-06-30'"
    )
    published = "select sum(open_count), sum(overdue_count) from highways.fct_defect_backlog_days where date_day = "
    assert warehouse.sql(f"{published} '2026-06-30'") == warehouse.sql(counted)


def test_enquiries_and_defects_have_the_ward_of_the_day_and_the_current_ward(warehouse: Warehouse) -> None:
    source, wards = warehouse.source("confirm"), defaultdict(list)
    faults = [fault for fault in warehouse.faults("confirm") if fault[0] == "raw_confirm.site_ward"]
    assert {rule for *_, rule in faults} == {"HWY06", "HWY07"}
    spoilt = {key.partition(":")[0] for _, key, *_ in faults}
    for street, *period in query(source, "select site_code, ward_code, start_date, end_date from site_ward"):
        wards[street].append(period)

    def ward(street: str, day: date) -> str:
        return next(code for code, start, end in wards[street] if start <= day <= (end or date.max))

    reported = {
        "fct_enquiries": "select site_code, enquiry_log_time from central_enquiry where site_code <> ''",
        "fct_defects": "select usrn, date_reported from defect",
    }
    for table, records in reported.items():
        found = query(source, records)
        streets = [(usrn.zfill(8), moment.date()) for usrn, moment in found if usrn.zfill(8) not in spoilt]
        expected = Counter((ward(usrn, day), ward(usrn, COUNTY.day)) for usrn, day in streets)
        published = (
            f"select ward_code, current_ward_code, count(*) from highways.{table} "
            "where usrn <> all(%s) group by ward_code, current_ward_code"
        )
        assert {(then, now): number for then, now, number in warehouse.sql(published, (list(spoilt),))} == expected
        assert sum(number for (then, now), number in expected.items() if then != now) > 500


def test_free_text_of_the_ledger_reaches_no_mart_and_no_file(county: Warehouse, tmp_path: Path) -> None:
    """Lines of a withheld and of a named payee with a person's name and telephone number where codes are expected."""
    from warehouse.feeds.files import write_report

    payee, paid = ("100000", "Amberbrook Home Care Ltd"), dict(zip(finance.Line._fields, [None] * 16, strict=True))
    paid |= {"organisation_label": finance.COUNCIL[0], "organisation_uri": finance.COUNCIL[1]}
    paid |= {"effective_date": "2026-04-30", "payment_date": "2026-04-13", "irrecoverable_vat_amount": "0.00"}
    paid |= {"profit_centre": "299999", "proclass_label": "NA", "proclass_code": "NA", "vat_registration_number": "NA"}
    lines = [
        paid | {"beneficiary_name": "REDACTED PERSONAL DATA", "beneficiary_other_id": "REDACTED", "amount": "888.02",
                "purpose": "Direct payment Zebedee Quxworthy", "organisational_unit": "Zebedee Quxworthy PB",
                "transaction_number": "Quxworthy 1", "invoice_number": "Quxworthy 2"},
        paid | {"beneficiary_name": payee[1], "beneficiary_other_id": payee[0], "amount": "888.03",
                "purpose": "Zebedee Quxworthy 07700 900461 - assessment", "organisational_unit": "Quxworthy, Zebedee",
                "transaction_number": "1909999999", "invoice_number": "INV-99"},
    ]  # fmt: skip
    path = county.home / "landing/finance/planted-supplier-spend-2026.zip"
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([[name.strip() for name in finance.LEDGER.split(",")], *(line.values() for line in lines)])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("planted.csv", text.getvalue())
    query(
        county.source("procurement"),
        "update contract set title = 'Care of Z, call 01632 960123', last_update = now() "
        "where contract_ref = (select min(contract_ref) from contract where end_date > now())",
    )
    county.load("erp")
    county.load("procurement")
    changed = [f"path:{MARTS}", f"stg_erp__ledger_lines+,+path:{MARTS}", f"stg_procurement__contracts+,+path:{MARTS}"]
    county.dbt("build", "--exclude-resource-type", "unit_test", "--select", *changed, "int_erp__rule_results")

    tables = county.sql("select table_name from information_schema.tables where table_schema = 'finance'")
    typed = "select exists (select from finance.{} as t where t::text ~* 'quxworthy|7700 ?900461')"
    assert {table for (table,) in tables if county.sql(typed.format(table)) != [(False,)]} == set()
    withheld, named = county.sql(
        'select "OrganisationalUnit", "TransactionNumber", "Purpose", "InvoiceNumber", "ProfitCentre" '
        'from finance.rpt_spend_over_500 where "Amount" in (888.02, 888.03) order by "Amount"'
    )
    assert withheld == ("Redacted",) * 5, "no text of the line, and no cost centre"
    assert named == ("Other", "1909999999", "Other", "INV-99", "299999")
    faults = county.sql(
        "select column_name, count(*) from conformed.int_erp__rule_results where rule_code = 'COD01' group by 1"
    )
    assert dict(faults) == {"purpose": 2, "organisational_unit": 1}
    with county.entered():
        spend, contracts = (
            replace(feed_report(f"rpt_{name}"), publish_set="finance")
            for name in ("spend_over_500", "contracts_register")
        )
        write_report(spend, tmp_path / "spend.csv")
        assert "uxworthy" not in (tmp_path / "spend.csv").read_text(encoding="utf-8")
        with pytest.raises(OutgoingError, match="column Title: a telephone number"):
            write_report(contracts, tmp_path / "contracts.csv")
