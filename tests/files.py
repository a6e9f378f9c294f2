"""File sources for tests: contracts, files and workbooks, and what the warehouse reads from them."""

import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
import xlsxwriter
import yaml
from jsonschema import Draft202012Validator

from ingestion import schema
from ingestion.contracts import SourceError, System, Table, read_contracts
from ingestion.files import read_file
from ingestion.tables import conform

PERSON = "Jane-Doe-1948"
COLUMNS = {
    "crossing_id": {"data_type": "text"},
    "crossed": {"data_type": "timestamptz"},
    "paid_on": {"data_type": "date", "format": "%d/%m/%Y"},
    "fee": {"data_type": "numeric(18,2)"},
    "note": {"data_type": "text"},
}


def declare(columns: dict[str, dict] = COLUMNS, **layout: object) -> Table:
    about = {"description": "A column.", "privacy": "none"}
    table = {"name": "crossings", "description": "One row per crossing.", "load": "replace", "files": "tolls/*"}
    columns = [{"name": name} | about | column for name, column in columns.items()]
    system = {
        "name": "raw_tolls",
        "description": "Bridge tolls.",
        "kind": "files",
        "location": "LANDING",
        "schedule": "0 6 * * *",
        "time_zone": "Europe/London",
        "information_asset_owner": "Head of Highways",
        "data_owner": "Network Manager",
        "purpose": "Income",
        "lawful_basis": "Article 6(1)(e)",
        "retention": "P7Y",
        "sharing": "none",
        "freshness": {"warn_after": {"count": 2, "period": "day"}, "error_after": {"count": 3, "period": "day"}},
        "tables": [table | {"columns": columns} | layout],
    }
    return System.model_validate(system).tables[0]


def texts(*names: str) -> dict[str, dict]:
    return {name: {"data_type": "text"} for name in names}


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(folder: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(folder / "draft", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return (folder / "draft").read_bytes()


def workbook(path: Path, rows: list[list], sheet: str = "Data", merged: tuple = ()) -> Path:
    """Write a workbook with one sheet; `merged` are (first row, first column, last row, last column, value)."""
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy"}) as book:
        page = book.add_worksheet(sheet)
        for number, row in enumerate(rows):
            for position, value in enumerate(row):
                page.write(number, position, value)
        for cells in merged:
            page.merge_range(*cells)
    return path


def conformed(table: Table, path: Path) -> Iterator[pa.Table]:
    for batch in read_file(table, path):
        fit, rejects = conform(table, batch, path.name)
        assert not rejects, rejects[0].reason
        yield fit.select(table.column_names)


def rows(table: Table, path: Path) -> list[dict]:
    """Return the rows of the file with the types of the contract, as the warehouse has them."""
    return [row for batch in conformed(table, path) for row in batch.to_pylist()]


def read(table: Table, path: Path) -> list[dict]:
    """Return the rows of the file from `read_file`, without the file name."""
    return [row for batch in read_file(table, path) for row in batch.drop_columns("_source_file").to_pylist()]


def refusal(table: Table, path: Path) -> str:
    with pytest.raises(SourceError) as refused:
        list(conformed(table, path))
    assert PERSON not in str(refused.value)
    return str(refused.value)


DECISIONS = {
    "privacy: TODO": "privacy: none",
    "schedule: TODO": 'schedule: "0 6 * * *"',
    "retention: TODO": "retention: P7Y",
    "lawful_basis: TODO": "lawful_basis: UK GDPR article 6(1)(e)",
    "TODO": "Decided by somebody who knows",
}


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema.schema())


def decided(staging: Path, system: str = "trial") -> System:
    """Return the contract that `warehouse source add` wrote, after a person has replaced each TODO."""
    contract = staging / system / f"_{system}__sources.yml"
    text = contract.read_text(encoding="utf-8")
    for todo, decision in DECISIONS.items():
        text = text.replace(todo, decision)
    contract.write_text(text, encoding="utf-8")
    found = _validator().iter_errors(yaml.load(text, yaml.CSafeLoader))
    assert [(error.json_path, error.message) for error in found] == []
    return read_contracts(staging)[system]
