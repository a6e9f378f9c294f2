"""The demo county's finance system: suppliers' ledger lines and card transactions, as yearly files."""

import io
import math
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import accumulate, count
from random import Random

from demo.county import COUNCIL, County, Truth, as_csv, columns
from demo.places import word

Trade = namedtuple("Trade", "words firms units purpose label code pounds")  # pounds: a typical line, 0 for home care
TRADES = [
    Trade("Home Care|Care at Home|Homecare Services", 40, "PHYS SUPP 85+ LT|PHYS SUPP 75-84 LT",
          "DOM CARE SPOT CONTRA", "SOCIAL CARE : Domiciliary Care", "321014", 0),
    Trade("Care Home|Nursing Home|Rest Home", 150, "PHYS SUPP 85+ LT|LEARN DIS 18-64 LT", "RESIDENTIAL CARE FEE",
          "SOCIAL CARE : Residential Care", "321017", 900),
    Trade("Surfacing|Civil Engineering|Roofing", 120, "HIGHWAY MAINTENANCE|PROPERTY REPAIRS", "PLANNED WORKS",
          "CONSTRUCTION: Bld Construction", "391110", 5000),
    Trade("Taxis|Private Hire|Coaches", 110, "HOME TO SCHOOL TRANS|SEND TRANSPORT", "PUPIL TRANSPORT",
          "TRANSPORT : Taxi Services", "361500", 350),
    Trade("Day Nursery|Childcare", 100, "EARLY YEARS FUNDING", "NURSERY EDUCAT GRANT", "SC : Nurseries & Creches",
          "321116", 1800),
    Trade("Systems|Software|Consulting", 80, "DIGITAL SERVICES|TRANSFORMATION", "PROFESSIONAL FEES",
          "CONSULTANCY : Implementation", "151811", 1500),
    Trade("Recruitment|Staffing", 30, "AGENCY STAFF ADULTS", "AGENCY STAFF", "HR : Temporary & Agency Staff",
          "261400", 1100),
    Trade("Books|School Supplies|Catering Equipment", 80, "LIBRARY STOCK|SCHOOLS CATERING", "EQUIPMENT",
          "NA", "NA", 120),
]  # fmt: skip
Supplier = namedtuple("Supplier", "id names vat trade")
REDACTED = ["DIRECT PAYMENTS", "DIRECT PAYMENTS", "FOSTER CARE ALLOWANC", "CLIENTS PERS NEEDS", "SPECIAL GUARDIANSHIP"]
MERCHANTS = [("Caterers", "5811", "catering provisions"), ("Other Nondurable Goods", "5199", "catering provisions"),
             ("Specialty Cleaning, Polishing, and Sanitation", "2842", "cleaning materials"),
             ("Stationery Stores", "5943", "office supplies"), ("Book Stores", "5942", "library books")]  # fmt: skip
LEDGER = """OrganisationLabel,OrganisationURI,EffectiveDate,OrganisationalUnit,BeneficiaryName,BeneficiaryOtherID,
    PaymentDate,TransactionNumber,Amount,IrrecoverableVATAmount,Purpose,ProclassLabel,ProclassCode,InvoiceNumber,
    ProfitCentre,VATRegistrationNumber"""
CARDS = """OrganisationLabel,OrganisationURI,EffectiveDate,OrganisationalUnit,BeneficiaryName,PaymentDate,Amount,
    IrrecoverableVATAmount,Purpose,CategoryInternalName,MerchantCategoryCode,CardTransaction"""

Line = namedtuple(
    "Line",
    columns("""organisation_label organisation_uri effective_date organisational_unit
    beneficiary_name beneficiary_other_id payment_date transaction_number amount irrecoverable_vat_amount purpose
    proclass_label proclass_code invoice_number profit_centre vat_registration_number"""),
)


def _vat_number(rng: Random) -> str:
    """A number that mostly passes the check (modulus 97); it begins with 0, so it belongs to nobody."""
    body = f"0{rng.randrange(100_000, 1_000_000)}"
    check = 97 - _vat_sum(body) % 97
    return f"GB{body}{check if rng.random() < 0.97 else 98 - check:02d}"


def fails_vat_check(number: str) -> bool:
    """Whether the number violates both of HMRC's checks for GB and nine digits: modulus 97, and the same plus 55."""
    total = _vat_sum(number[2:9]) + int(number[9:])
    return bool(total % 97 and (total + 55) % 97)


def _vat_sum(body: str) -> int:
    """Weighted sum of the first seven digits, weights 8 to 2."""
    return sum(int(digit) * weight for digit, weight in zip(body, range(8, 1, -1), strict=True))


def _suppliers(rng: Random, size: float) -> list[Supplier]:
    """Suppliers; some ids have several names, some firms several ids under one name."""
    found = []
    for trade in TRADES:
        for _ in range(round(trade.firms * size)):
            firm = f"{word(rng)} {rng.choice(trade.words.split('|'))}"
            firm += rng.choice(("", "", "", " & Sons", " (Worcestershire)"))
            names = [f"{firm} {rng.choice(('Ltd', 'Ltd', 'Limited'))}"]
            vat = _vat_number(rng) if rng.random() < (0.1 if "CARE" in trade.label else 0.8) else "NA"
            if found and rng.random() < 0.03:
                names, vat = found[-1].names, found[-1].vat
            elif rng.random() < 0.08:
                names += [rng.choice((names[0].upper(), firm, f"{firm} T/A {word(rng)}", f"{word(rng)} Group Ltd"))]
            found.append(Supplier(str(100_000 + 7 * len(found)), [name[:35] for name in names], vat, trade))
    return found


def suppliers(county: County) -> list[Supplier]:
    """The county's suppliers, more in a county of over 80,000 people."""
    return _suppliers(county.rng("suppliers"), county.size)


def years(county: County) -> range:
    """The financial years of the files, by the year in which they begin."""
    return range(2024, county.day.year + (county.day.month > 3))


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The yearly files up to the county's day: about 12,500 ledger and 2,000 card lines a year."""
    shops = [supplier for supplier in suppliers(county) if supplier.trade.code == "NA"]
    rng = county.rng("cards")
    merchants = [(shop.names[0].title()[:25].strip(), *rng.choice(MERCHANTS)) for shop in shops]
    teams = [f"{word(rng)} {rng.choice(('Primary', 'First School', 'Library', 'High School'))}" for _ in range(60)]
    for year in years(county):
        label = f"{year}-{year - 1999}"
        stem, zipped = f"worcestershire-supplier-spend-{label}", io.BytesIO()
        paid = [(line, code) for line, code in ledger(county, year) if line.payment_date <= county.day]
        lines = [_with_fault(truth, f"{stem}.zip:{n}", *line) for n, line in enumerate(paid, 1)]
        with zipfile.ZipFile(zipped, "w") as archive:
            member = zipfile.ZipInfo(f"{stem}.csv", (year + 1, 4, 23, 11, 30, 0))
            member.create_system, member.compress_type = 3, zipfile.ZIP_DEFLATED  # identical bytes on every machine
            archive.writestr(member, as_csv(LEDGER, lines, "\r\n"))
        yield f"finance/{stem}.zip", zipped.getvalue()
        used = [row for row in _cards(county, year, merchants, teams) if row[5] <= county.day]
        cards = as_csv(CARDS, used, "\n")
        yield f"finance/worcestershire_procurement_card_transactions_{label}.csv", cards


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)


def _with_fault(truth: Truth, key: str, line: Line, code: str | None) -> Line:
    """The line after the fault of its rule, which was drawn with the payment and does not depend on the line's
    position.
    """
    if line.vat_registration_number != "NA" and fails_vat_check(line.vat_registration_number):
        truth.record_fault("ledger_lines", key, "vat_registration_number", "VAT02")
    late = _month_end(_month_end(line.payment_date) + timedelta(1))
    faults = {"FIN01": ("invoice_number", "{invoice_number}A"), "FIN02": ("effective_date", str(late))}
    return truth.inject_fault("ledger_lines", key, line, {code: faults[code]}, 1) if code else line


def _weekdays(year: int) -> list[date]:
    first, last = date(year, 4, 1), date(year + 1, 3, 31)
    return [day for day in (first + timedelta(n) for n in range((last - first).days + 1)) if day.weekday() < 5]


def ledger(county: County, year: int) -> list[tuple[Line, str | None]]:
    """All lines of a financial year, newest month first, each with the code of the rule that it is to violate.

    Equal lines in one payment are care for several people: they are not duplicates.
    """
    rng, size = county.rng(f"ledger {year}"), county.size
    rows, days, firms, numbers = (
        [],
        _weekdays(year),
        suppliers(county),
        count(1_900_100_001 + (year - 2024) * 1_000_000),
    )

    def pay(paid: date, supplier: Supplier, pounds: float, number: int, invoice: object, unit: str,
            code: str | None = None) -> None:  # fmt: skip
        name = rng.choice(supplier.names) if rng.random() < 0.3 else supplier.names[0]
        trade = supplier.trade
        code = code or ("FIN02" if rng.random() < 0.004 else None)
        line = Line(*COUNCIL, _month_end(paid), unit, name, supplier.id, paid, str(number), f"{pounds:.2f}", "0.00",
                    trade.purpose, trade.label, trade.code, str(invoice), cost_centre(unit), supplier.vat)  # fmt: skip
        rows.append((line, code))

    people = [
        Supplier("Redacted", ["Redacted"], "NA", Trade("", 0, "", purpose, "NA", "NA", 0)) for purpose in REDACTED
    ]
    for monday in (day for day in days if day.weekday() == 0):
        for supplier in (supplier for supplier in firms if not supplier.trade.pounds):
            number, unit = next(numbers), rng.choice(supplier.trade.units.split("|"))
            for _ in range(rng.randint(0, 4)):  # few prices, many people
                pay(monday, supplier, 18.49 * rng.choice((1, 2, 4, 7, 14)), number, f"{monday:%d%m%Y}", unit)
        number = next(numbers)
        for _ in range(round(36 * size)):
            pounds = rng.choice((-30, 138.54, 188.36, 323.26, 436.76)) * rng.choice((1, 1, 2))
            invoice = "Redacted" if rng.random() < 0.1 else number - 900_000_000
            unit = rng.choice(("LEARN DIS 18-64 LT", "PHYS SUPP 18-64 LT", "FOSTERING"))
            pay(monday, rng.choice(people), pounds, number, invoice, unit)
    others = [supplier for supplier in firms if supplier.trade.pounds]
    weights = list(accumulate(rng.paretovariate(1.2) for _ in others))
    for n in range(round(4_000 * size)):
        supplier, paid, number = rng.choices(others, cum_weights=weights)[0], rng.choice(days), next(numbers)
        n += (year - 2024) * 1_000_000
        invoice = rng.choice((f"INV-{n:05d}", f"{n * 13 + 20_000}", f"{supplier.id[-3:]}/{n}"))
        unit = rng.choice(supplier.trade.units.split("|"))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            pounds = rng.lognormvariate(math.log(supplier.trade.pounds), 0.9)
            pay(paid, supplier, pounds, number, invoice, unit)
            if rng.random() < 0.03:
                pay(paid, supplier, -pounds, next(numbers), f"CN{invoice}", unit)
            elif rng.random() < 0.003 and (later := [day for day in days if day > paid]):
                pay(rng.choice(later), supplier, pounds, next(numbers), invoice, unit, "FIN01")  # paid twice
    return sorted(rows, key=lambda row: row[0].effective_date, reverse=True)


def cost_centre(unit: str) -> str:
    """The code of the cost centre with this name."""
    return str(110_000 + sum(map(ord, unit)) * 37 % 80_000)


def _cards(county: County, year: int, merchants: list[tuple], teams: list[str]) -> list[tuple]:
    """All card transactions of a financial year, newest first."""
    rng, days, rows = county.rng(f"cards {year}"), _weekdays(year), []
    for _ in range(round(2_000 * county.size)):
        (merchant, category, code, what), paid, team = rng.choice(merchants), rng.choice(days), rng.choice(teams)
        is_credit = rng.random() < 0.06
        amount = f"{rng.lognormvariate(4.8, 0.8) * (-0.2 if is_credit else 1):.2f}".rstrip("0").rstrip(".")
        purpose = f"{'Credit Voucher' if is_credit else 'Purchase'} {merchant} for {what}"
        rows.append((*COUNCIL, _month_end(paid), team, merchant, paid, amount, 0, purpose, category, code, "GPC"))
    return sorted(rows, key=lambda row: row[5], reverse=True)
