"""Generated files beside an independent reader: every row lands with its values or is rejected, none is unexplained."""

import csv
import io
import random
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from ingestion.files import read_file
from ingestion.tables import conform
from tests.test_files import declare, write

FILES = 150
COLUMNS = {
    "no": {"data_type": "bigint"},
    "words": {"data_type": "text"},
    "paid_on": {"data_type": "date", "format": "%d/%m/%Y"},
    "amount": {"data_type": "numeric(12,2)", "number_format": ["thousands", "pound", "brackets"], "null_values": ["-"]},
}
WORDS = [
    "",
    "a",
    " b ",
    'said "no"',
    "x,y",
    "two\nlines",
    "two\r\nlines",
    "£ é 漢",
    '5" pipe',
    "'",
    "-",
    "0x1F",
    ";",
    "\t",
]
DATES = ["", "01/02/2026", "1/2/2026", "29/02/2024", "29/02/2025", "31/04/2026", "01/02/26", "2026-02-01", "32/01/2026"]
AMOUNTS = [
    "",
    "-",
    "1",
    "1.5",
    "1,234.50",
    "12,34",
    "(50.00)",
    "£3",
    "£(3)",
    "1.005",
    "1e3",
    "99999999999",
    "x",
    "-7.25",
]


def read_date(text: str) -> date | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", text):
        raise ValueError
    return datetime.strptime(text, "%d/%m/%Y").date()


def read_amount(text: str) -> Decimal | None:
    if text in ("", "-"):
        return None
    plain = text
    if found := re.fullmatch(r"£?\(?£?(\d{1,3}(?:,\d{3})+|\d+)(\.\d*)?\)?", text):
        plain = "-" * ("(" in text) + found[1].replace(",", "") + (found[2] or "")
    amount = Decimal(plain)  # raises ArithmeticError
    if amount != amount.quantize(Decimal("0.01")) or abs(amount) >= 10**10:
        raise ValueError
    return amount.quantize(Decimal("0.01"))


def expected(row: list[str]) -> tuple | None:
    """Return the row's values as the contract describes them; None if one does not fit."""
    try:
        return int(row[0]), row[1] or None, read_date(row[2]), read_amount(row[3])
    except (ValueError, ArithmeticError):
        return None


def test_generated_files_land_as_an_independent_reader_reads_them(tmp_path: Path) -> None:
    chance = random.Random(2026)
    for number in range(FILES):
        rows = [
            [str(place), chance.choice(WORDS), chance.choice(DATES), chance.choice(AMOUNTS)]
            for place in range(chance.randint(1, 12))
        ]
        delimiter, end = chance.choice(",;\t|"), chance.choice(["\n", "\r\n"])
        encoding = chance.choice(["utf-8", "utf-8-sig", "utf-16"])
        quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([["Title"] * 4] * chance.randint(0, 2) + [["No", "Words", "Paid on", "Amount"], *rows])
        layout: dict[str, object] = {"delimiter": delimiter, "encoding": encoding.removesuffix("-sig")}
        if chance.random() < 0.3:
            layout["ragged"] = "pad"  # read by the other reader
        table = declare(COLUMNS, **layout)
        landed, rejected = {}, set()
        for batch in read_file(table, write(tmp_path, "a.csv", text.getvalue().encode(encoding))):
            fit, rejects = conform(table, batch, "a.csv")
            landed |= {row["no"]: tuple(row[name] for name in COLUMNS) for row in fit.to_pylist()}
            rejected |= {reject.row - 1 for reject in rejects if reject.row}
        found = [None if place in rejected else landed[place] for place in range(len(rows))]
        assert found == [expected(row) for row in rows], (number, text.getvalue())
        assert len(landed) + len(rejected) == len(rows)
