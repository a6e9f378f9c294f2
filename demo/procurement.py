"""The demo county's purchasing system in Unit4's form: suppliers, contracts, budgets, orders, invoices.

Invoices are those that the ledger's lines (demo.finance) pay, from the day of their receipt.
"""

from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import groupby
from random import Random

from demo.county import COUNCIL, County, Truth, columns
from demo.finance import Supplier, cost_centre, fails_vat_check, ledger, suppliers, years
from demo.people import HORIZON

TABLES = {
    "asuheader": "apar_id* apar_name comp_reg_no charity_no vat_reg_no utr last_update:timestamp",
    "contract": """contract_ref*:text title department apar_id apar_name start_date:date end_date:date review_date:date
        annual_value:numeric(18,2) cpv_code sme_flag vcse_flag procedure_name last_update:timestamp""",
    "aglbudget": """organisation_uri organisation_label dim_1* dim_1_name period*:bigint amount:numeric(18,2)
        last_update:timestamp""",
    "apoheader": "order_id*:bigint apar_id order_date:date contract_ref status last_update:timestamp",
    "apodetail": """order_id*:bigint line_no*:bigint article dim_1 amount:numeric(18,2) last_update:timestamp""",
    "apinvoice": """voucher_no*:bigint apar_id ext_inv_ref order_id:bigint contract_ref voucher_date:date
        arrival_date:date terms_date:date due_date:date pay_date:date amount:numeric(18,2) dispute_flag
        last_update:timestamp""",
}
Account, Contract, Budget, Order, OrderLine, Invoice = (namedtuple(table, columns(TABLES[table])) for table in TABLES)
# {rule of seeds/data_quality_rules.csv: (column, faulty value)}
ACCOUNT_FAULTS = {
    "COM01": ("comp_reg_no", lambda rng, row: rng.choice((f"{row.comp_reg_no}7", f"{row.comp_reg_no}X", "pending"))),
    "CHY01": ("charity_no", lambda rng, row: rng.choice((f"{row.charity_no}123", "registered"))),
    "UTR01": ("utr", "{utr}9"),
    "UTR02": ("utr", lambda rng, row: f"{row.utr[:-1]}{(int(row.utr[-1]) + rng.randint(1, 9)) % 10}"),
}
CPV = {  # {the ledger's category: (main code, department)}
    "SOCIAL CARE : Domiciliary Care": ("85312000", "Adult Social Care"),
    "SOCIAL CARE : Residential Care": ("85311000", "Adult Social Care"),
    "CONSTRUCTION: Bld Construction": ("45000000", "Economy and Infrastructure"),
    "TRANSPORT : Taxi Services": ("60120000", "Transport"),
    "SC : Nurseries & Creches": ("80110000", "Children's Services"),
    "CONSULTANCY : Implementation": ("72000000", "Digital Services"),
    "HR : Temporary & Agency Staff": ("79620000", "Human Resources"),
    "NA": ("39160000", "Corporate Landlord"),
}


def rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    """The tables' rows: about 1,000 contracts, 500 budgets and 10,000 invoices a year."""
    yield from _accounts(county, truth)
    contracts = {supplier.id: _contracts(county, supplier) for supplier in suppliers(county)}
    for found in contracts.values():
        yield from (("contract", row) for row in found if row.last_update.date() <= county.day)
    entered: set[tuple] = set()
    for year in range(years(county).start, years(county).stop + 1):  # invoices of March are paid in April
        lines = [line for line, _ in ledger(county, year)]
        yield from (("aglbudget", row) for row in _budgets(county, year, lines))
        named = [line for line in lines if line.beneficiary_other_id != "Redacted"]
        named.sort(key=lambda line: line.transaction_number)
        for number, of_one in groupby(named, key=lambda line: line.transaction_number):
            yield from _bought(county, truth, int(number), list(of_one), contracts, entered)


def _at(day: date) -> datetime:
    return datetime.combine(day, time(17))


def _accounts(county: County, truth: Truth) -> Iterator[tuple[str, Account]]:
    """The suppliers: firms have a company number, one in seven is a charity, the others are sole traders.

    The numbers are beyond the range in use. A firm that was entered twice has the same numbers.
    """
    known = set()
    for supplier in suppliers(county):
        rng, company, charity, utr = county.rng(f"account {supplier.names[0]}"), None, None, None
        kind, vat = rng.random(), supplier.vat if supplier.vat != "NA" else None
        if kind < 0.8:
            company = f"98{rng.randrange(1_000_000):06d}"
        if kind > 0.9 or kind < 0.05:
            charity = f"98{rng.randrange(100_000):05d}"
        if not (company or charity):
            utr = _utr(rng)
        row = Account(supplier.id, supplier.names[0], company, charity, vat, utr, _at(date(2023, 4, 3)))
        row = truth.inject_fault("asuheader", supplier.id, row, ACCOUNT_FAULTS, 0.06)
        if company and row.comp_reg_no == company:
            if company in known:
                truth.record_fault("asuheader", supplier.id, "comp_reg_no", "SUP01", company)
            known.add(company)
        if vat and fails_vat_check(vat):
            truth.record_fault("asuheader", supplier.id, "vat_reg_no", "VAT02")
        yield "asuheader", row


def _utr(rng: Random) -> str:
    """A tax reference that passes its check (modulus 11), with zeros where real ones have digits."""
    body = f"00000{rng.randrange(10_000):04d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, (6, 7, 8, 9, 10, 5, 4, 3, 2), strict=True))
    return f"{'21987654321'[total % 11]}{body}"


def _contracts(county: County, supplier: Supplier) -> list[Contract]:
    """Successive contracts up to the horizon, sometimes with a gap; three suppliers in ten have none. The first has
    expired.
    """
    rng, found = county.rng(f"contract {supplier.id}"), []
    if rng.random() < 0.3:
        return []
    start, (cpv, department) = date(2019, 1, 1) + timedelta(rng.randrange(700)), CPV[supplier.trade.label]
    sme, vcse = rng.random() < 0.7, rng.random() < 0.12
    while start <= HORIZON:
        end = start + timedelta(365 * (rng.choice((2, 3, 4)) if found else 2) - 1)
        reference = f"CT{supplier.id}-{len(found) + 1}"
        found.append(Contract(
            reference, f"{supplier.trade.purpose.capitalize()} {start.year}-{end.year % 100:02d}", department,
            supplier.id, supplier.names[0], start, end, end - timedelta(180),
            round((supplier.trade.pounds or 300) * rng.uniform(5, 60), 2), cpv, "Y" if sme else "N",
            "Y" if vcse else "N", rng.choice(("Open", "Open", "Framework call-off", "Quotation", "Direct award")),
            _at(start - timedelta(28)),
        ))  # fmt: skip
        start = end + timedelta(rng.randint(60, 300) if rng.random() < 0.15 else 1)
    return found


def _budgets(county: County, year: int, lines: list) -> Iterator[Budget]:
    """Each cost centre's month: about a twelfth of the year's cost; some budgets are unrelated to it."""
    spent, updated = {}, _at(date(year, 3, 1))
    for line in lines:
        spent[line.organisational_unit] = spent.get(line.organisational_unit, 0) + float(line.amount)
    for unit, pounds in sorted(spent.items()):
        monthly = round(pounds / 12 * county.rng(f"budget {year} {unit}").gauss(1, 0.1), 2)
        for period in range(1, 13):
            if updated.date() <= county.day:
                yield Budget(COUNCIL[1], COUNCIL[0], cost_centre(unit), unit, year * 100 + period, monthly, updated)


def _bought(
    county: County, truth: Truth, number: int, lines: list, contracts: dict, entered: set[tuple]
) -> Iterator[tuple[str, tuple]]:
    """The invoice that a payment document settles and, half the time, its order, with their current status.

    `entered` has (supplier, invoice number, amount) of the invoices before this one.
    """
    rng, supplier, paid = county.rng(f"invoice {number}"), lines[0].beneficiary_other_id, lines[0].payment_date
    amount, is_disputed = round(sum(float(line.amount) for line in lines), 2), rng.random() < 0.01
    arrived = paid - timedelta(_days_to_pay(rng) + (40 if is_disputed else 0))
    dated, ordered = arrived - timedelta(rng.randint(0, 5)), arrived - timedelta(rng.randint(6, 50))
    current = next((c.contract_ref for c in contracts[supplier] if c.start_date <= dated <= c.end_date), None)
    order = None
    if amount > 0 and _is_ordered(lines[0]) and rng.random() < 0.7:
        order = 4_000_000 + number - 1_900_000_000
        status = "F" if arrived <= county.day else "N"
        if ordered <= county.day:
            updated = _at(arrived if status == "F" else ordered)
            yield "apoheader", Order(order, supplier, ordered, current, status, updated)
            for n, line in enumerate(lines, 1):
                yield "apodetail", OrderLine(order, n, line.purpose, line.profit_centre, line.amount, _at(ordered))
    if arrived > county.day:
        return
    is_paid = paid <= county.day
    terms = _terms(county.rng(f"terms {number}"), arrived)
    invoice = Invoice(
        number, supplier, lines[0].invoice_number, order, current, dated, arrived, terms, arrived + timedelta(30),
        paid if is_paid else None, amount, "Y" if is_disputed else "N", _at(paid if is_paid else arrived),
    )  # fmt: skip
    if current:  # an invoice booked to the previous, expired contract
        over = [c for c in contracts[supplier] if c.end_date < dated]
        if over:
            invoice = truth.inject_fault(
                "apinvoice", number, invoice, {"FIN03": ("contract_ref", over[-1].contract_ref)}, 0.01
            )
    if amount > 0 and (supplier, invoice.ext_inv_ref, amount) in entered:
        truth.record_fault("apinvoice", number, "ext_inv_ref", "FIN04")
    entered.add((supplier, invoice.ext_inv_ref, amount))
    yield "apinvoice", invoice


def _terms(rng: Random, arrived: date) -> date | None:
    """The day from which the invoice itself asks for payment; few invoices name one after their receipt."""
    return arrived + timedelta(rng.randint(1, 60)) if rng.random() < 0.04 else None


def _is_ordered(line: tuple) -> bool:
    """Whether the line's purchase has an order; care has placements instead."""
    return not line.proclass_label.startswith(("SOCIAL CARE", "SC :"))


def _days_to_pay(rng: Random) -> int:
    """Days from an invoice's receipt to its payment: nine in ten are paid within 30 days."""
    return rng.randint(3, 29) if rng.random() < 0.9 else rng.randint(30, 95)
