"""One raw table while a load is committed: its names in SQL, and the queries that the load checks and modes share."""

from collections.abc import Iterable
from typing import Any

import psycopg2
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import LoadCheckError, Table
from ingestion.landing import ROW_COUNTS, landing_table
from ingestion.load_results import ExtractResult
from ingestion.postgres import value_of

STORED_TYPES = {"timestamp with time zone": "timestamptz", "time without time zone": "time"}  # Postgres' other names
MIN_ALLOWED_REJECTS = 10  # rejected rows that are allowed in a small load


class RawTable:
    """A raw table and the extract that is committed to it."""

    def __init__(self, cursor: pg.cursor, extract: ExtractResult, load_id: str):
        self.cursor, self.extract, self.table, self.load_id = cursor, extract, extract.table, load_id
        system, name = self.table.system.name, self.table.name
        key = self.table.key
        self.names = {
            "landing": landing_table(self.table.system, name),
            "arrived": landing_table(self.table.system, ROW_COUNTS),
            "store": sql.Identifier(f"{system}_store", name),
            "columns": listed("{}", extract.columns),
            "key": listed("{}", key),
            "place": sql.SQL("_source_file, _source_row" if self.table.files else "null, null"),
            "versioned_key": listed("{}", [*key, "valid_from"] if self.table.load == "history" else key),
            "same_key": listed("s.{0} = l.{0}", key, " and "),
            "newest": sql.SQL("{} desc nulls last,").format(sql.Identifier(self.table.cursor))
            if self.table.cursor
            else sql.SQL(""),
        }
        self.arrived = 0
        self.loaded_before = 0  # rows that equal a row of the store

    def run(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> int:
        """Execute a query with the table's names filled in; return the number of rows affected."""
        self.cursor.execute(sql.SQL(query).format(**self.names, **parts), list(values))
        return self.cursor.rowcount

    def value(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> Any:
        """The first value of a query's first row; None without a row."""
        self.run(query, values, **parts)
        row = self.cursor.fetchone()
        return row and row[0]

    @property
    def has_new_contract(self) -> bool:
        """Whether the contract has changed since the last load."""
        return not self.extract.last.version.startswith(self.extract.contract_digest)

    def allowed_rejects(self) -> int:
        """The declared share of the rows read; undeclared, at least ten rows, but never half of a whole table."""
        extract, table = self.extract, self.table
        share = int(table.rejects * extract.read)
        if "rejects" in table.model_fields_set:
            return share
        is_whole = extract.full_refresh or not extract.last.version
        return max(share, min(MIN_ALLOWED_REJECTS, extract.read // 2) if is_whole else MIN_ALLOWED_REJECTS)

    def refuse(self, reason: str, can_override: bool = False) -> None:
        """Raise LoadCheckError with the reason and, if a person may override the check, the command."""
        hint = f". To accept it: warehouse accept {self.table.label} --reason '…'" if can_override else ""
        raise LoadCheckError(f"{self.table.label}: {reason}; nothing was loaded{hint}", self.table)

    def use_override(self) -> bool:
        """Use up the override of this table's load checks, if there is one."""
        query = (
            "update governance.overrides set used_by_load = %s where system = %s and table_name = %s "
            "and not is_of_disposal and (used_by_load is null or used_by_load = %s)"
        )
        return self.run(query, [self.load_id, self.table.system.name, self.table.name, self.load_id]) > 0

    def quarantine_landed(self, removed: str, rule: str) -> int:
        """Quarantine the landed rows that the query `removed` deletes; return their number."""
        return self.run(
            removed + "insert into quarantine.rows (system, table_name, rule, key, content, load_id, file_name, "
            "row_number) select %s, %s, %s, concat_ws('|', {key}), to_json(removed), %s, {place} from removed",
            [self.table.system.name, self.table.name, rule, self.load_id],
        )

    def define(self, function: str, *values: object) -> None:
        """Call a function that makes or changes the raw table (warehouse/sql/raw_tables.sql)."""
        place = [self.table.system.name, self.table.name]
        self.cursor.execute(f"select governance.{function}(%s, %s{', %s' * len(values)})", [*place, *values])

    def create_index(self, part: str) -> None:
        key = [*self.table.key, *(["valid_from"] if self.table.load == "history" else [])]
        self.cursor.execute(
            "select governance.index_raw_table(%s, %s, %s, %s)", [self.table.system.name, part, self.table.name, key]
        )

    def index_store(self) -> None:
        """Make the store's rows unique by the contract's key, which may have changed since the last load."""
        self.run("savepoint store_key")
        try:
            self.create_index("_store")
        except psycopg2.errors.UniqueViolation:
            self.run("rollback to savepoint store_key")
            key = ", ".join(self.table.key)
            self.refuse(f"rows loaded earlier have the same key ({key}). Correct the key, or delete those rows")

    @property
    def view_columns(self) -> list[str]:
        """The declared columns, which the view shows to dbt."""
        return [name for name in self.extract.columns if name not in self.extract.new_columns]

    def store_columns(self) -> dict[str, str]:
        """{name: Postgres type} of the store's columns."""
        self.run(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [self.names["store"].as_string(self.cursor)],
        )
        return dict(self.cursor.fetchall())

    def alter_store(self) -> None:
        """Add the extract's new columns to the store's table, and change types."""
        stored = self.store_columns()
        for name, kind in self.extract.columns.items():
            if STORED_TYPES.get(stored.get(name, ""), stored.get(name)) != kind:
                self.run("savepoint retype")
                try:
                    self.define("alter_raw_table", name, kind)
                except psycopg2.DataError:
                    self.refuse(f"{name} has values that are not {kind}, the type in the contract")


def store_table(table: Table) -> sql.Identifier:
    """The store's table of a raw table."""
    return sql.Identifier(f"{table.system.name}_store", table.name)


def store_exists(cursor: pg.cursor, table: Table) -> bool:
    """Whether the store has the raw table."""
    cursor.execute("select to_regclass(%s)", [store_table(table).as_string(cursor)])
    return value_of(cursor) is not None


def listed(template: str, names: Iterable[str], separator: str = ", ") -> sql.Composable:
    """The template for each name, quoted, with separators between them."""
    return sql.SQL(separator).join(sql.SQL(template).format(sql.Identifier(name)) for name in names)
