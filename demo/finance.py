"""What the invented county's finance system holds: suppliers' ledger lines and card transactions, as yearly files."""

import io
import math
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import accumulate, count
from random import Random

from demo.county import COUNCIL, County, Truth, as_csv
from demo.places import word

Trade = namedtuple("Trade", "words firms units purpose label code pounds")  # pounds: a middling line, 0 for home care
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


def _vat_number(rng: Random) -> str:
    """A number that mostly passes the check (modulus 97) and begins with 0, to be nobody's."""
    body = f"0{rng.randrange(100_000, 1_000_000)}"
    check = 97 - sum(int(digit) * weight for digit, weight in zip(body, range(8, 1, -1), strict=True)) % 97
    return f"GB{body}{check if rng.random() < 0.97 else 98 - check:02d}"


def _suppliers(rng: Random) -> list[Supplier]:
    """Some ids have several names, some firms several ids under one name."""
    suppliers = []
    for trade in TRADES:
        for _ in range(trade.firms):
            firm = f"{word(rng)} {rng.choice(trade.words.split('|'))}"
            firm += rng.choice(("", "", "", " & Sons", " (Worcestershire)"))
            names = [f"{firm} {rng.choice(('Ltd', 'Ltd', 'Limited'))}"]
            vat = _vat_number(rng) if rng.random() < (0.1 if "CARE" in trade.label else 0.8) else "NA"
            if suppliers and rng.random() < 0.03:
                names, vat = suppliers[-1].names, suppliers[-1].vat
            elif rng.random() < 0.08:
                names += [rng.choice((names[0].upper(), firm, f"{firm} T/A {word(rng)}", f"{word(rng)} Group Ltd"))]
            suppliers.append(Supplier(str(100_000 + 7 * len(suppliers)), [name[:35] for name in names], vat, trade))
    return suppliers


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The yearly files: about 25,000 ledger and 4,000 card lines."""
    rng = county.rng("finance")
    suppliers, numbers = _suppliers(rng), count(1_900_100_001)
    shops = [supplier for supplier in suppliers if supplier.trade.code == "NA"]
    merchants = [(shop.names[0].title()[:25].strip(), *rng.choice(MERCHANTS)) for shop in shops]
    teams = [f"{word(rng)} {rng.choice(('Primary', 'First School', 'Library', 'High School'))}" for _ in range(60)]
    for year in (2024, 2025):
        days = [day for day in (date(year, 4, 1) + timedelta(n) for n in range(365)) if day.weekday() < 5]
        label = f"{year}-{year - 1999}"
        stem, zipped = f"worcestershire-supplier-spend-{label}", io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            member = zipfile.ZipInfo(f"{stem}.csv", (year + 1, 4, 23, 11, 30, 0))
            member.create_system, member.compress_type = 3, zipfile.ZIP_DEFLATED  # the same bytes on every machine
            archive.writestr(member, as_csv(LEDGER, _ledger(rng, suppliers, days, numbers), "\r\n"))
        yield f"finance/{stem}.zip", zipped.getvalue()
        cards = as_csv(CARDS, _cards(rng, merchants, teams, days), "\n")
        yield f"finance/worcestershire_procurement_card_transactions_{label}.csv", cards


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)


def _ledger(rng: Random, suppliers: list[Supplier], days: list[date], numbers: Iterator[int]) -> list[tuple]:
    """A financial year's lines, newest month first. Equal lines in one payment are several people's care: all real."""
    rows = []

    def pay(paid: date, supplier: Supplier, pounds: float, number: int, invoice: object, unit: str) -> None:
        name = rng.choice(supplier.names) if rng.random() < 0.3 else supplier.names[0]
        trade, centre = supplier.trade, 110_000 + sum(map(ord, unit)) * 37 % 80_000
        rows.append((*COUNCIL, _month_end(paid), unit, name, supplier.id, paid, number, f"{pounds:.2f}", "0.00",
                     trade.purpose, trade.label, trade.code, invoice, centre, supplier.vat))  # fmt: skip

    people = [
        Supplier("Redacted", ["Redacted"], "NA", Trade("", 0, "", purpose, "NA", "NA", 0)) for purpose in REDACTED
    ]
    for monday in (day for day in days if day.weekday() == 0):
        for supplier in (supplier for supplier in suppliers if not supplier.trade.pounds):
            number, unit = next(numbers), rng.choice(supplier.trade.units.split("|"))
            for _ in range(rng.randint(0, 4)):  # few prices, many people
                pay(monday, supplier, 18.49 * rng.choice((1, 2, 4, 7, 14)), number, f"{monday:%d%m%Y}", unit)
        number = next(numbers)
        for _ in range(36):
            pounds = rng.choice((-30, 138.54, 188.36, 323.26, 436.76)) * rng.choice((1, 1, 2))
            invoice = "Redacted" if rng.random() < 0.1 else number - 900_000_000
            unit = rng.choice(("LEARN DIS 18-64 LT", "PHYS SUPP 18-64 LT", "FOSTERING"))
            pay(monday, rng.choice(people), pounds, number, invoice, unit)
    others = [supplier for supplier in suppliers if supplier.trade.pounds]
    weights = list(accumulate(rng.paretovariate(1.2) for _ in others))
    for n in range(4_000):
        supplier, paid, number = rng.choices(others, cum_weights=weights)[0], rng.choice(days), next(numbers)
        invoice = rng.choice((f"INV-{n:05d}", f"{n * 13 + 20_000}", f"{supplier.id[-3:]}/{n}"))
        unit = rng.choice(supplier.trade.units.split("|"))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            pounds = rng.lognormvariate(math.log(supplier.trade.pounds), 0.9)
            pay(paid, supplier, pounds, number, invoice, unit)
            if rng.random() < 0.03:
                pay(paid, supplier, -pounds, next(numbers), f"CN{invoice}", unit)
            elif rng.random() < 0.003:
                pay(rng.choice(days), supplier, pounds, next(numbers), f"{invoice}A", unit)  # paid twice
    return sorted(rows, key=lambda row: row[2], reverse=True)


def _cards(rng: Random, merchants: list[tuple], teams: list[str], days: list[date]) -> list[tuple]:
    rows = []
    for _ in range(2_000):
        (merchant, category, code, what), paid, team = rng.choice(merchants), rng.choice(days), rng.choice(teams)
        is_credit = rng.random() < 0.06
        amount = f"{rng.lognormvariate(4.8, 0.8) * (-0.2 if is_credit else 1):.2f}".rstrip("0").rstrip(".")
        purpose = f"{'Credit Voucher' if is_credit else 'Purchase'} {merchant} for {what}"
        rows.append((*COUNCIL, _month_end(paid), team, merchant, paid, amount, 0, purpose, category, code, "GPC"))
    return sorted(rows, key=lambda row: row[5], reverse=True)
