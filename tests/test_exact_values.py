"""Values of files land exactly as they were read, or their row is rejected with the rule and the column."""

import csv
import io
import random
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ingestion import quoting
from ingestion.contracts import SourceError
from ingestion.files import read_file
from ingestion.quoting import EscapeChecker, QuoteChecker
from ingestion.spreadsheets import as_text
from ingestion.tables import conform
from tests.files import declare, workbook, write


def landed(folder: Path, values: list[str | None], **column: object) -> list[object]:
    """Return the value that each text lands as, or the reason why its row is rejected."""
    table = declare({"no": {"data_type": "bigint"}, "v": column})
    text = io.StringIO()
    csv.writer(text).writerows([("no", "v"), *enumerate(values)])
    found: dict[int, object] = {}
    for batch in read_file(table, write(folder, "values.csv", text.getvalue())):
        rows, rejects = conform(table, batch, "values.csv")
        found |= {row["no"]: row["v"] for row in rows.to_pylist()}
        found |= {reject.row - 1: reject.reason for reject in rejects if reject.row}
    return [found[place] for place in range(len(values))]


def typed(values: pa.Array, data_type: str) -> list[object]:
    """Return what the values of a typed source (Parquet, a database) land as, or the rule by which one is rejected."""
    found = []
    for value in values:
        batch = pa.table({"v": pa.array([value], values.type)})
        rows, rejects = conform(declare({"v": {"data_type": data_type}}), batch, "values")
        found += [reject.rule for reject in rejects] or rows["v"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("%d/%m/%Y", {"28/02/2026": date(2026, 2, 28), "1/2/2026": date(2026, 2, 1), " 01/02/2026 ": date(2026, 2, 1)},
         ["31/02/2026", "29/02/2025", "31/04/2026", "03/07/126", "03/07/26", "0/07/2026", "01/13/2026", "1/1/2026 1"]),
        ("%d-%b-%Y", {"01-Apr-2011": date(2011, 4, 1), "01-APR-2011": date(2011, 4, 1)},
         ["01-Apr-11", "01-Sept-2011", "01-April-2011", "31-Feb-2011"]),
        ("%d/%m/%y", {"29/02/24": date(2024, 2, 29)}, ["29/02/23", "01/02/2024", "1/2/4"]),
        ("%b-%y", {"Apr-13": date(2013, 4, 1)}, ["April-13", "Apr-2013", "1-Apr-13"]),
        ("%d %B %Y", {"1 September 2026": date(2026, 9, 1)}, ["31 September 2026", "1 Septembre 2026"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_date_lands_only_if_it_prints_back_to_what_was_read(
    tmp_path: Path, form: str, good: dict[str, date], bad: list[str]
) -> None:
    column = {"data_type": "date", "format": form}
    assert landed(tmp_path, [*good], **column) == [*good.values()]
    assert landed(tmp_path, [*good, *bad], **column)[len(good) :] == [f"v: not date in the form {form}"] * len(bad)


def test_a_time_in_a_declared_form_has_a_possible_day_minute_and_second(tmp_path: Path) -> None:
    column = {"data_type": "timestamptz", "format": "%d/%m/%Y %H:%M:%S"}
    good, *bad = ["01/07/2026 12:00:00", "01/04/2026 23:59:60", "31/06/2026 12:00:00", "01/07/2026 24:00:00"]
    reason = f"v: not timestamptz in the form {column['format']}"
    assert landed(tmp_path, [good, *bad], **column) == [datetime(2026, 7, 1, 11, tzinfo=UTC), *[reason] * len(bad)]


def test_each_value_may_have_one_of_several_date_forms(tmp_path: Path) -> None:
    column = {"data_type": "date", "format": ["%d/%m/%Y", "%d-%b-%y"]}
    assert landed(tmp_path, ["01/02/2026", "03-Apr-11", None, "2026-01-01"], **column) == [
        date(2026, 2, 1), date(2011, 4, 3), None, "v: not date in the form %d/%m/%Y or %d-%b-%y",
    ]  # fmt: skip


def test_a_date_outside_the_declared_range_is_rejected(tmp_path: Path) -> None:
    bounds = {"earliest": "1900-01-01", "latest": "2026-12-31"}
    assert landed(tmp_path, ["1899-12-31", "1900-01-01", "2026-12-31", "2027-01-01"], data_type="date", **bounds) == [
        "v: earlier than 1900-01-01", date(1900, 1, 1), date(2026, 12, 31), "v: later than 2026-12-31",
    ]  # fmt: skip
    bounds = {"earliest": "2026-07-01", "latest": "2026-07-01"}
    days = ["2026-06-30 23:59:59", "2026-07-01 00:00:00", "2026-07-01 23:59:59", "2026-07-02"]
    assert landed(tmp_path, days, data_type="timestamptz", **bounds) == [
        "v: earlier than 2026-07-01",
        datetime(2026, 6, 30, 23, tzinfo=UTC),
        datetime(2026, 7, 1, 22, 59, 59, tzinfo=UTC),
        "v: later than 2026-07-01",
    ]


def test_a_local_time_that_the_change_of_clocks_skips_is_rejected(tmp_path: Path) -> None:
    times = ["2026-03-29 00:59:59", "2026-03-29 01:30:00", "2026-03-29 02:00:00", "2026-10-25 01:30:00"]
    assert landed(tmp_path, times, data_type="timestamptz") == [
        datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
        "v: not timestamptz",
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the first of the two, as documented
    ]


def test_an_hour_without_minutes_is_rejected(tmp_path: Path) -> None:
    """A file that ends too early may end in one."""
    times = ["2026-01-05 12", "2026-01-05T12", "2026-01-05 12Z", "2026-01-05 12+01", "2026-01-05 12-05:30"]
    for accepted in ("2026-01-05", "2026-01-05 12:00", "2026-01-05T12:00:00Z"):
        *rejected, moment = landed(tmp_path, [*times, accepted], data_type="timestamptz")
        assert rejected == ["v: not timestamptz"] * len(times)
        assert moment == datetime(2026, 1, 5, 12 if "12" in accepted else 0, tzinfo=UTC)


FORMS = ["thousands", "pound", "brackets", "credit", "trailing_minus"]


def test_numbers_land_in_the_forms_that_the_contract_allows(tmp_path: Path) -> None:
    amounts = {
        "2,142.73": "2142.73", " 765.00 ": "765.00", "£1,000.00": "1000.00", "£ 1": "1.00", "(50.00)": "-50.00",
        "1.00 CR": "-1.00", "1.00 DR": "1.00", "5.00-": "-5.00", "-£5": "-5.00", "£-5": "-5.00", "(£5.10)": "-5.10",
        "£(5.10)": "-5.10", "+7": "7.00", "1,234,567": "1234567.00", ".5": "0.50",
    }  # fmt: skip
    column = {"data_type": "numeric(18,2)", "number_format": FORMS}
    assert landed(tmp_path, [*amounts], **column) == [Decimal(amount) for amount in amounts.values()]
    wrong = ["1,23", "12,3456", "£", "(5", "5)", "1.00 CRR", "--5", "(-5)", "1.234,50", "€5", "-", "5 000"]
    assert landed(tmp_path, wrong, **column) == ["v: not numeric(18,2)"] * len(wrong)
    assert landed(tmp_path, ["£5", "5"], data_type="numeric(18,2)", number_format=["thousands"]) == [
        "v: not numeric(18,2)", Decimal(5),
    ]  # fmt: skip


def test_a_decimal_comma_is_no_separator_of_thousands(tmp_path: Path) -> None:
    column = {"data_type": "numeric(18,2)", "number_format": ["thousands", "brackets", "decimal_comma"]}
    amounts = {"1.234,50": "1234.50", "1234,5": "1234.50", "(7,25)": "-7.25", "1.234": "1234.00", "-12": "-12.00"}
    assert landed(tmp_path, [*amounts], **column) == [Decimal(amount) for amount in amounts.values()]
    assert landed(tmp_path, ["1.5", "1,234.50", "1.23", "NaN"], **column) == ["v: not numeric(18,2)"] * 4
    column["number_format"] = ["decimal_comma"]
    assert landed(tmp_path, ["12,50", "1.234", "1e3"], **column) == [Decimal("12.50"), *["v: not numeric(18,2)"] * 2]


def test_control_totals_have_the_decimal_comma_of_their_column(tmp_path: Path) -> None:
    columns = {
        "id": {"data_type": "text"},
        "v": {"data_type": "numeric(9,2)", "number_format": ["thousands", "decimal_comma"]},
    }
    table = declare(columns, delimiter=";", footer=["Total"], control_totals=["v"])
    rows = "id;v\na;1.000,50\nb;2,00\nTotal;"
    for total in ("1.002,50", "EUR 1.002,50"):
        batches = read_file(table, write(tmp_path, "a.csv", rows + total))
        assert [row["v"] for batch in batches for row in batch.to_pylist()] == ["1.000,50", "2,00"]
    for wrong in ("1002.50", "1.002,05"):
        with pytest.raises(SourceError, match="the footer's total is not the sum of the rows"):
            list(read_file(table, write(tmp_path, "a.csv", rows + wrong)))


def test_a_number_of_a_workbook_keeps_its_value_in_a_column_of_decimal_commas(tmp_path: Path) -> None:
    columns = {"v": {"data_type": "numeric(9,3)", "number_format": ["thousands", "decimal_comma"]}}
    path = workbook(tmp_path / "a.xlsx", [["v"], [1.234], ["1.234"], [1234]])
    fit = [conform(table, batch, "a")[0] for table in [declare(columns)] for batch in read_file(table, path)]
    assert [str(value) for rows in fit for value in rows["v"].to_pylist()] == ["1.234", "1234.000", "1234.000"]


def test_declared_words_mean_no_value(tmp_path: Path) -> None:
    column = {"data_type": "numeric(18,2)", "null_values": ["NA", "NULL", "-"]}
    assert landed(tmp_path, ["327310", "NA", " NULL ", "-", "N/A"], **column) == [
        Decimal(327310), None, None, None, "v: not numeric(18,2)",
    ]  # fmt: skip
    assert landed(tmp_path, ["NA", "x"], data_type="text", null_values=["NA"], required=True) == [
        "v: no value in a required column", "x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data_type", "texts"), [("bigint", ["0x1F", "1e3", "1.0"]), ("double precision", ["1e400", "0x1p3", "1,5"])]
)
def test_a_number_that_only_a_program_would_read_is_rejected(tmp_path: Path, data_type: str, texts: list[str]) -> None:
    assert landed(tmp_path, texts, data_type=data_type) == [f"v: not {data_type}"] * len(texts)
    assert landed(tmp_path, ["12", *texts], data_type=data_type)[0] == 12


def test_a_typed_value_that_would_change_is_rejected() -> None:
    moments = pa.array([datetime(2026, 7, 1), datetime(2026, 7, 1, 13)], pa.timestamp("us"))
    assert typed(moments, "date") == [date(2026, 7, 1), "not date"]
    assert typed(pa.array([datetime(2026, 6, 30, 23)], pa.timestamp("us", "UTC")), "date") == [date(2026, 7, 1)]
    assert typed(pa.array([0.25, 0.105]), "numeric(18,2)") == [Decimal("0.25"), "not numeric(18,2)"]
    assert typed(pa.array([0, 1, 2]), "boolean") == [False, True, "not boolean"]
    assert typed(pa.array([20260701]), "timestamptz") == ["not timestamptz"]
    assert typed(pa.array([date(2026, 7, 1)]), "timestamptz") == [datetime(2026, 6, 30, 23, tzinfo=UTC)]


def test_a_sheets_numbers_and_dates_land_as_the_file_holds_them(tmp_path: Path) -> None:
    cells = [["Card", "Day"], [1234567890123456, date(2013, 4, 1)], [0.1 + 0.2, date(2013, 4, 15)]]
    table = declare({"card": {"data_type": "text"}, "day": {"data_type": "date", "format": ["%b-%y"]}})
    (batch,) = read_file(table, workbook(tmp_path / "cells.xlsx", cells))
    rows, rejects = conform(table, batch, "cells.xlsx")
    assert rows.to_pylist()[0]["card"] == "1234567890123456"
    assert rows.to_pylist()[0]["day"] == date(2013, 4, 1)
    assert [reject.reason for reject in rejects] == ["day: not date in the form %b-%y"], "the day would be lost"


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"data_type": "numeric(50,10)"}, "the precision is 1 to 38"),
        ({"data_type": "numeric(10,20)"}, "the scale 0 to the precision"),
        ({"data_type": "numeric(0,0)"}, "the precision is 1 to 38"),
        ({"data_type": "date", "format": "%Q-%%%"}, "format %Q-%%%: %Q is not supported"),
        ({"data_type": "date", "format": "%d/%m"}, "has no year"),
        ({"data_type": "timestamptz", "format": "%d/%m/%Y %I:%M"}, "need each other"),
        ({"data_type": "text", "format": "%d/%m/%Y"}, "is for a date, timestamptz or time"),
        ({"data_type": "date", "earliest": "2026-01-02", "latest": "2026-01-01"}, "earliest is after latest"),
        ({"data_type": "text", "number_format": ["pound"]}, "number_format is for a number"),
    ],
)
def test_a_column_that_no_value_could_fit_is_refused_in_the_contract(column: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        declare({"v": column})


def test_typed_values_land_exactly_whatever_arrow_makes_of_them() -> None:
    assert typed(pa.array([7, None]), "numeric(12,2)") == [Decimal("7.00"), None]
    assert typed(pa.array([Decimal("1.0050")]), "double precision") == [1.005], "Arrow's cast: 1.0050000000000001"
    assert typed(pa.array([datetime(2026, 7, 1), None]), "bigint") == ["not bigint", None]
    assert typed(pa.array([b"a", b"\xff"]), "text") == ["61", "ff"], "whatever stands beside them"
    assert typed(pa.array([date(9999, 12, 31)]), "date") == [date(9999, 12, 31)]


def test_blanks_are_no_value_but_in_a_text(tmp_path: Path) -> None:
    for data_type in ("bigint", "numeric(12,2)", "date", "timestamptz", "boolean", "double precision"):
        assert landed(tmp_path, ["  ", "\xa0"], data_type=data_type) == [None, None]
    assert landed(tmp_path, ["  "], data_type="text") == ["  "]


# --- rows that are skipped


@pytest.mark.parametrize("layout", [{}, {"ragged": "pad"}], ids=["plain", "by row"])
def test_rows_have_the_same_numbers_whatever_is_skipped_above_them(tmp_path: Path, layout: dict) -> None:
    content = "id,v\n1,a\n,\n,,,\n , , \n5,b\n\n6,c\n"
    table = declare({"id": {"data_type": "bigint"}, "v": {"data_type": "text"}}, **layout)
    batches = read_file(table, write(tmp_path, "a.csv", content))
    assert [(row["id"], row["_source_row"]) for batch in batches for row in batch.to_pylist()] == [
        ("1", 1), ("5", 5), ("6", 6),
    ]  # fmt: skip


def test_rows_that_the_contract_skips_are_counted_by_rule(tmp_path: Path) -> None:
    columns = {"id": {"data_type": "text"}, "v": {"data_type": "numeric(9,2)", "number_format": ["brackets"]}}
    layout = {"footer": ["Total"], "subtotals": ["Sub-total"], "control_totals": ["v"], "ends_at_blank_row": True}
    table = declare(columns, **layout)
    content = "id,v\na,(3.00)\nSub-total,(3.00)\nb,1.00\nTotal,(2.00)\n\nnotes,of the\ncouncil,\n"
    skipped: Counter[str] = Counter()
    batches = read_file(table, write(tmp_path, "a.csv", content), skipped=skipped)
    assert [row["_source_row"] for batch in batches for row in batch.to_pylist()] == [1, 3]
    assert skipped == {"subtotal": 1, "footer": 1, "below the table": 2}


# --- the grammar of a CSV

SWALLOWED = 'id,v\n1,"5 inch pipe\n2,b\n3,"6 inch pipe\n4,d\n'


def refused(folder: Path, content: str, **layout: object) -> str:
    """Return the message with which a file of the columns id and v is refused."""
    table = declare({"id": {"data_type": "text"}, "v": {"data_type": "text"}}, **layout)
    with pytest.raises(SourceError) as refusal:
        list(read_file(table, write(folder, "a.csv", content)))
    return str(refusal.value)


@pytest.mark.parametrize("layout", [{}, {"footer": ["Total"]}], ids=["plain", "footer"])
def test_text_after_a_closing_quotation_mark_is_refused_by_every_reader(tmp_path: Path, layout: dict) -> None:
    assert "a.csv, line 4: raw_tolls.crossings: text after a closing" in refused(tmp_path, SWALLOWED, **layout)
    assert "a.csv, line 2: " in refused(tmp_path, 'id,v\n1,"ABC" Ltd\nTotal,\n', **layout)
    assert "a.csv, line 1: " in refused(tmp_path, 'id,"v"x\n1,b\nTotal,\n', **layout)
    assert "a.csv, line 30002: " in refused(tmp_path, "id,v\n" + '1,"b"\n' * 30_000 + '1,"b"c\nTotal,\n', **layout)


@pytest.mark.parametrize("layout", [{}, {"footer": ["Total"], "footer_optional": True}], ids=["plain", "footer"])
def test_a_file_that_ends_within_its_header_is_refused(tmp_path: Path, layout: dict) -> None:
    assert "the file ends within quotation marks" in refused(tmp_path, 'id,"v', **layout)


def test_the_quotation_mark_of_a_csv_is_declared(tmp_path: Path) -> None:
    columns = {"id": {"data_type": "text"}, "v": {"data_type": "text"}}

    def values(content: str, **layout: object) -> list[object]:
        batches = read_file(declare(columns, **layout), write(tmp_path, "a.csv", content))
        return [row["v"] for batch in batches for row in batch.to_pylist()]

    for footer in ({}, {"footer": ["Total"]}):
        end = "Total,\n" if footer else ""
        assert values('id,v\n1,5" pipe\n2,6 "inch"\n' + end, **footer) == ['5" pipe', '6 "inch"']
        assert values('id,v\n1,"5 inch\n2,b\n' + end, quote="none", **footer) == ['"5 inch', "b"]
        assert values("id,v\n1,'a,b'\n2,\"c\n" + end, quote="'", **footer) == ["a,b", '"c']
        assert values('id,v\n1,"a\\"b"\n2,c\\\\\n' + end, escape="\\", **footer) == ['a"b', "c\\"]


DOCUMENTS = {
    "time": {
        "09:30": "09:30:00", "9:30": "09:30:00", "23:59:59.999999": "23:59:59.999999", "09:30:00.1234560":
        "09:30:00.123456", "09:30:00.1234567": None, "24:00": None, "25:00": None, "09:30Z": None, "0930": None,
    },
    "bytea": {"4a6F": "4a6f", r"\x00": "00", "0x": "", "abc": None, "zz": None, " 4a": None},
    "jsonb": {
        '{"a": [1.10, null]}': '{"a": [1.10, null]}', '"\\ud83d\\ude00"': '"\\ud83d\\ude00"', "{'a': 1}": None,
        '{"a": 1, "a": 2}': None, "NaN": None, "[1] 2": None, '"\\u0000"': None, '"\\ud800"': None, "1e200000": None,
        "1e-20000": None, "[" * 100_000: None,
    },
}  # fmt: skip


@pytest.mark.parametrize("data_type", DOCUMENTS)
def test_times_of_day_json_and_binary_values_land_as_they_are_or_are_rejected(tmp_path: Path, data_type: str) -> None:
    values = DOCUMENTS[data_type]
    found = landed(tmp_path, list(values), data_type=data_type)
    texts = [value.hex() if isinstance(value, bytes) else str(value) for value in found]
    assert texts == [f"v: not {data_type}" if value is None else value for value in values.values()]


def test_a_time_of_day_has_the_format_of_its_column(tmp_path: Path) -> None:
    assert landed(tmp_path, ["0930", "2400", "9:30"], data_type="time", format="%H%M") == [
        time(9, 30), *["v: not time in the form %H%M"] * 2
    ]  # fmt: skip
    cells = [time(9, 30), time(9, 30, 1)]  # a format that loses the seconds is not used
    assert [as_text(cell, ("%H:%M",)) for cell in cells] == ["09:30", "09:30:01"]
    for form in ("%d/%m/%Y", "%M", "%H:%M %d"):
        with pytest.raises(ValidationError, match=f"format {form}"):
            declare({"v": {"data_type": "time", "format": form}})


def test_binary_values_json_and_times_of_a_typed_source_land_as_they_are() -> None:
    assert typed(pa.array([b"\0", b""]), "bytea") == [b"\0", b""]
    assert typed(pa.array([1001, 1000], pa.time64("ns")), "time") == ["not time", time(0, 0, 0, 1)]
    assert typed(pa.array([{"a": [1, None]}]), "jsonb") == ['{"a": [1, null]}']
    assert typed(pa.array([1, 2]), "bytea") == ["not bytea"] * 2
    with pytest.raises(ValidationError, match="a key cannot be jsonb or bytea: v"):
        declare({"v": {"data_type": "jsonb"}}, key=["v"], load="merge")


def test_booleans_percentages_and_excel_dates_are_read_only_in_their_form(tmp_path: Path) -> None:
    words = {"data_type": "boolean", "true_values": ["Y", "Yes"], "false_values": ["N"]}
    wrong = "v: not boolean"
    found = landed(tmp_path, ["Y", " Yes ", "N", "", "y", "1", "true"], **words)
    assert found == [
        True,
        True,
        False,
        None,
        *[wrong] * 3,
    ]
    numbers = ["45383", "61", "2958465", "60", "45383.5", "2958466", "-1"]
    assert landed(tmp_path, numbers, data_type="date", format="excel") == [
        date(2024, 4, 1), date(1900, 3, 1), date(9999, 12, 31), *["v: not date in the form excel"] * 2,
        "v: outside the years 1 to 9999", "v: not date in the form excel",
    ]  # fmt: skip
    percent = {"data_type": "numeric(5,2)", "number_format": ["percent"]}
    assert landed(tmp_path, ["12.5%", "-3 %", "4", "%", "5%%"], **percent) == [
        Decimal("12.50"), Decimal("-3.00"), Decimal("4.00"), *["v: not numeric(5,2)"] * 2
    ]  # fmt: skip
    for keys, problem in (
        ({"true_values": ["Y"]}, "must both be set"),
        ({"true_values": ["Y"], "false_values": ["Y"]}, "true and false at once: Y"),
    ):
        with pytest.raises(ValidationError, match=problem):
            declare({"v": {"data_type": "boolean"} | keys})


ESCAPES = {
    b"1,a\\": "a truncated file",
    b"1,a\\\r": "an escaped line end that ends the file",
    b"1,a\\\n": "the same of another system",
    b"1,a\\\r\n2,b\r\n": "an escaped line end of two characters",
    b"1,\\N\n": "no value, but not declared",
    b"1,a\\tb\n": "a tab, written as a letter",
    b'1,"a\\N"\n': "the same in quotation marks",
    b"1,\\Na\n": "no whole value",
}


@pytest.mark.parametrize("content", ESCAPES, ids=ESCAPES.values())
@pytest.mark.parametrize("layout", [{}, {"footer": ["T"], "footer_optional": True}, {"quote": "none"}])
def test_an_escape_character_without_a_meaning_is_refused(tmp_path: Path, content: bytes, layout: dict) -> None:
    null_values = {"null_values": ["\\N"]} if b"a" in content else {}
    problem = refused(tmp_path, b"id,v\n" + content, escape="\\", **null_values, **layout)
    assert "a.csv, line 2: raw_tolls.crossings: an escape character that is not before" in problem


def test_an_escaped_word_for_no_value_is_read_as_it_is(tmp_path: Path) -> None:
    table = declare({"id": {"data_type": "text"}, "v": {"data_type": "text"}}, escape="\\", null_values=["\\N"])
    content = "id,v\n\\N,a\\,b\nN,a\\\nb\n1,\\N"
    rows = pa.concat_tables(read_file(table, write(tmp_path, "a.csv", content)))
    assert conform(table, rows, "x")[0].select(["id", "v"]).to_pylist() == [
        {"id": None, "v": "a,b"}, {"id": "N", "v": "a\nb"}, {"id": "1", "v": None}
    ]  # fmt: skip


@pytest.mark.parametrize("size", range(1, 8))
def test_the_check_of_escape_characters_is_the_same_at_every_division_into_blocks(size: int) -> None:
    chance = random.Random(18)
    for _ in range(500):
        text = "".join(chance.choices("\\\\N,a\n\r", k=chance.randint(1, 12))).encode()
        found = []
        for step in (len(text), size):
            checker, kept = EscapeChecker(str, ",", '"', "\\", ["\\N"]), b""
            try:
                for start in range(0, len(text), step):
                    counts = (text[:start].count(b"\n"), text[:start].count(b"\r"))
                    kept += checker.feed(text[start : start + step], counts)
                kept += checker.feed(b"", (text.count(b"\n"), text.count(b"\r")), True)
            except SourceError as error:
                kept = str(error).encode()
            found.append(kept)
        assert found[0] == found[1], text


@pytest.mark.parametrize("piece", [3, quoting.PIECE])
def test_the_check_of_quotation_marks_agrees_with_python_at_every_division_into_blocks(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(quoting, "PIECE", piece)
    chance = random.Random(18)
    for _ in range(2000):
        text = "".join(chance.choices('",a\n', k=chance.randint(1, 14)))
        try:
            list(csv.reader(io.StringIO(text, newline=""), strict=True))
            fits = True
        except csv.Error as error:
            fits = "unexpected end" in str(error)
        for size in (1, 3, 20):
            checker, found = QuoteChecker(str, ",", '"', None), True
            try:
                for start in range(0, len(text), size):
                    checker.feed(text[start : start + size].encode())
            except SourceError:
                found = False
            assert found == fits, (text, size)
