"""Try a source contract on a sample of its source: types, rejected rows, rule violations and a profile of each column.

Nothing is loaded, and no warehouse is needed. No value of an identifier is part of the result.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from ingestion.casting import as_text
from ingestion.columns import DOCUMENT_TYPES, TODO, Column
from ingestion.contract_yaml import ContractError, describe_errors, read_yaml
from ingestion.contracts import ORIGIN_COLUMNS, STAGING, SourceError, System, Table
from ingestion.databases import open_database
from ingestion.files import matching_files, read_file
from ingestion.internals import marked_table
from ingestion.load_results import LoadResult
from ingestion.pipeline import location_of, to_source_error
from ingestion.privacy import normalise
from ingestion.sources import FromApi
from ingestion.tables import Reject, conform

FAILURES = (DBAPIError, OSError, RuntimeError)  # of drivers, of the network and of files
LONGEST_VALUE = 32  # characters of a value that is shown
# what stands in for a decision that the data owner has not made; special category data are not shown
UNDECIDED = {"privacy": "special_category", "retention": "P1D", "lawful_basis": "article 6(1)(e)"}
UNDECIDED_BASIS = "article 9(2)(a)"


@dataclass
class ColumnProfile:
    """A column of the accepted rows; `lowest` and `highest` are empty where values must not be shown."""

    name: str
    data_type: str
    nulls: int
    distinct: int
    lowest: str = ""
    highest: str = ""
    violations: Counter[str] = field(default_factory=Counter)


@dataclass
class TableSample:
    """What a sample of a table shows; `problem` is why it could not be read."""

    table: Table
    read: int = 0
    problem: str = ""
    repeated_keys: int = 0
    rejects: list[Reject] = field(default_factory=list)
    profiles: list[ColumnProfile] = field(default_factory=list)

    @property
    def rejected(self) -> dict[str, list[Reject]]:
        """{rule, with its column: rejected rows}, the most frequent first."""
        groups: dict[str, list[Reject]] = {}
        for reject in self.rejects:
            groups.setdefault(reject.reason, []).append(reject)
        return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def draft_contract(name: str) -> System:
    """The contract of a system, also with decisions that are still TODO; raises ContractError."""
    path = STAGING / name / f"_{name}__sources.yml"
    if not path.exists():
        raise ContractError(f"{path} does not exist. Write a first contract with `warehouse source add {name}`")
    shown, root, document = read_yaml(path)
    try:
        return System.model_validate(_decided(document["sources"][0]))
    except (KeyError, TypeError, IndexError):
        raise ContractError(f"{shown}:1: a source contract needs a list `sources:`") from None
    except ValidationError as refusal:
        raise ContractError(describe_errors(refusal, root, ("sources", 0), shown)) from None


def _decided(source: dict[str, Any]) -> dict[str, Any]:
    decided = _without_todo(source, "")
    meta = decided.setdefault("config", {}).setdefault("meta", {})
    if decided != source:
        meta.setdefault("special_category_basis", UNDECIDED_BASIS)
    return dict(decided)


def _without_todo(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return {name: _without_todo(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_without_todo(value, key) for value in node]
    if isinstance(node, str) and TODO.search(node):
        return UNDECIDED.get(key, TODO.sub("undecided", node))
    return node


def try_system(system: System, rows: int, tables: set[str] | None = None) -> Iterator[TableSample]:
    """Yield a sample of each table (default: all), of at least `rows` rows if the table has them.

    The system's location comes from the environment. Raises SourceError if it is not set or not reachable.
    """
    chosen = [table for table in system.tables if not tables or table.name in tables]
    if unknown := (tables or set()) - {table.name for table in chosen}:
        raise SourceError(f"{system.name}: no table {', '.join(sorted(unknown))} in the contract")
    location = location_of(system)
    if system.kind == "database":
        with open_database(system, location) as database:
            for table in chosen:
                yield _sample(table, (lambda table=table: database.read(table, None, limit=rows)), rows)
    elif system.kind == "files":
        for table in chosen:
            yield _sample(table, (lambda table=table: _of_files(table, location)), rows)
    else:
        yield from _of_api(chosen, location, rows)


def _of_files(table: Table, location: str) -> Iterator[pa.Table]:
    return chain.from_iterable(read_file(table, path) for path in matching_files(table, location))


def _sample(table: Table, read: Any, rows: int) -> TableSample:
    sample, accepted = TableSample(table), []
    try:
        for batch in read():
            fitting, rejects = conform(table, batch, table.system.name)
            sample.read += len(batch)
            sample.rejects += rejects
            accepted.append(fitting)
            if sample.read >= rows:
                break
    except (SourceError, *FAILURES) as failure:
        sample.problem = str(to_source_error(failure, table.system))
    return _profiled(sample, accepted)


def _of_api(tables: list[Table], location: str, rows: int) -> Iterator[TableSample]:
    for table in (table for table in tables if not table.parent):
        reader = FromApi(table, LoadResult(table.name), location, True)
        children = [
            FromApi(child, LoadResult(child.name), location, True)
            for child in table.system.tables
            if child.parent == table.name
        ]
        for child in children:
            reader.add_child(child)
        accepted: dict[str, list[pa.Table]] = {each.table.name: [] for each in [reader, *children]}
        problem = ""
        try:
            for page in reader.pages():
                name, found = marked_table(page, table.name)
                if found is not None:
                    accepted[name].append(found)
                if reader.extract.read >= rows:
                    break
        except (SourceError, *FAILURES) as failure:
            problem = str(to_source_error(failure, table.system))
        for each in [reader, *children]:
            sample = TableSample(each.table, each.extract.read, problem, rejects=each.extract.rejects)
            yield _profiled(sample, accepted[each.table.name])


def _profiled(sample: TableSample, accepted: list[pa.Table]) -> TableSample:
    if not accepted:
        return sample
    table, rows = sample.table, pa.concat_tables(accepted, promote_options="default")
    declared = {column.name: column for column in table.columns}
    _, violations = normalise(table, {column.name: as_text(rows[column.name]) for column in table.identifiers})
    for name in rows.column_names:
        if name in ORIGIN_COLUMNS:
            continue
        values, column = rows[name], declared.get(name)
        profile = ColumnProfile(
            name,
            column.data_type if column else "undeclared",
            values.null_count,
            pc.count_distinct(values).as_py(),
            violations=Counter(code.split(">")[0] for code in violations.get(name, pa.array([])).to_pylist() if code),
        )
        if column and _may_be_shown(column) and profile.nulls < len(values):
            ends = pc.min_max(values).as_py()
            profile.lowest, profile.highest = (_short(ends[end]) for end in ("min", "max"))
        sample.profiles.append(profile)
    if table.key:
        sample.repeated_keys = len(rows) - len(rows.group_by(table.key).aggregate([]))
    return sample


def _may_be_shown(column: Column) -> bool:
    """Whether the column's lowest and highest value identify nobody."""
    has_range = column.data_type not in DOCUMENT_TYPES
    return has_range and (column.privacy == "none" or (column.privacy == "personal" and column.data_type != "text"))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
