"""What readers do and may do: their rights in access.yml, queries as a reader, and their reads in the usage mart."""

from contextlib import closing

import psycopg2
from psycopg2 import sql

from tests.support import Warehouse
from warehouse.access import read_access, read_reidentification
from warehouse.environment import publish_sets

SETS = publish_sets()
ACCESS = read_access(SETS)
SCOPES = [scope for name, access in ACCESS.items() for scope in access.scopes(name)]
CASEWORKERS = read_reidentification().logins
LOGINS = sorted({grant["login"] for name, access in ACCESS.items() for grant in access.grants(name)} | {*CASEWORKERS})
REDDITCH = "pbi_highways_redditch"
SOUGHT = "999 123 4567"  # a search value for statements: an NHS number from the range that is never issued


def may_read(login: str, schema: str, table: str, columns: list[str]) -> bool:
    """Return whether a login reads a table, as access.yml states."""
    for name, access in ACCESS.items():
        if schema in (name, f"{name}_history"):
            return login in access.readers
        for scope in access.row_scopes:
            if schema == f"{name}_{scope.name}":
                is_scoped = scope.column in columns or table in (*scope.whole_tables, "as_at")
                return login in scope.readers and is_scoped
    return False


def ask(warehouse: Warehouse, application: str, login: str, *statements: str) -> None:
    """Run statements with the login of a reader; statements without the right to run are refused."""
    with closing(psycopg2.connect(warehouse.reader_url(login), application_name=application)) as connection:
        connection.autocommit = True
        for statement in statements:
            try:
                connection.cursor().execute(statement)
            except psycopg2.errors.InsufficientPrivilege:
                continue


def read_log(warehouse: Warehouse) -> None:
    """Load the server log and publish the set that is built from it."""
    warehouse.load("serverlog")
    warehouse.build("usage")


def reads(warehouse: Warehouse, application: str) -> list[tuple]:
    """The reads of one application in the mart, in order, as information governance sees them."""
    return warehouse.sql(
        "select login_name, publish_set, table_name, is_refused from usage.fct_mart_reads "
        "where application_name = %s order by read_at, table_name",
        (application,),
        url=warehouse.reader_url("pbi_information_governance"),
    )


def holding(warehouse: Warehouse, words: str) -> set[str]:
    """The schemas with a table that has the words in any row."""
    query = "select %L where exists (select from %I.%I as t where t::text like {})"
    search = sql.SQL(
        "select string_agg(format({}, schemaname, schemaname, tablename), ' union all ') from pg_tables "
        "where schemaname not in ('pg_catalog', 'information_schema')"
    ).format(sql.Literal(query.format("'%%" + words + "%%'")))
    return {schema for (schema,) in warehouse.sql(warehouse.sql(search)[0][0])}
