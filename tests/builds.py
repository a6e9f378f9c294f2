"""Builds of a publish set on an empty warehouse, as dbt makes and publishes them."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.support import Trial
from warehouse import environment
from warehouse.builds import build_lock

STEPS = ("prepare_publication", "publish")


class Builds:
    """Builds of publish set `highways`, as dbt makes and publishes them."""

    def __init__(self, trial: Trial):
        self.trial, self.count = trial, 0
        self.keys: dict[str, str] = {}  # {table: columns of its primary key}
        self.reports: list[dict] = []  # as meta.restatements of dbt's models
        trial.sql(  # a publication that waits for a reader goes ahead sooner
            "do $$ begin execute replace(pg_get_functiondef('governance.lock_published_tables(text)'::regprocedure), "
            "'10 seconds', '1 second'); end $$"
        )

    def sql(self, query: str, values: tuple = ()) -> list[tuple]:
        """Run a query with dbt's login."""
        with closing(environment.dbt_connection()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def begin(self, builder: int | None) -> str | None:
        """Open a build, and return why it is refused."""
        self.count += 1
        begin = "select governance.begin_build('highways', array['raw_trial'], %s, '{}', %s)"
        return self.sql(begin, (f"build {self.count}", builder))[0][0]

    def make(self, **tables: str) -> None:
        """Make tables from queries."""
        for name, query in tables.items():
            made, keys = f"highways__next.{name}", self.keys.get(name)
            key = f"alter table {made} add primary key ({keys});" if keys else ""
            self.sql(
                f"create table {made} as {query}; {key} select governance.note_table('highways', %s, %s)",
                (name, f"build {self.count}"),
            )

    def publish(
        self, *tables: str, build: int | None = None, approved: tuple[str, ...] = (), steps: tuple[str, ...] = STEPS
    ) -> list[str]:
        """Publish the tables; return the changes that wait for approval and the problems."""
        made = {"invocation_id": f"build {build or self.count}", "tables": list(tables), "tests_passed": 1}
        made["reports"] = self.reports
        for step in steps:
            found = self.sql(f"select * from governance.{step}('highways', %s, %s)", (json.dumps(made), list(approved)))
            if found:
                break
        return [change or problem for change, problem in found]

    def run(self, *approved: str, **tables: str) -> list[str]:
        """Build and publish tables; without any, one table with the number of the build."""
        with locked() as builder:
            assert self.begin(builder) is None
            tables = tables or {"fct_one": f"select {self.count} as version"}
            self.make(**tables)
            found = self.publish(*tables, approved=approved)
        self.sql("select governance.drop_old_builds('highways')")
        return found

    def differences(self) -> list[tuple]:
        """Return how the rights on the set's tables differ from access.yml."""
        return self.trial.sql("select * from governance.access_differences() where publish_set ~ '^highways'")

    def schemas(self) -> list[str]:
        """Return the schemas of replaced publications and unfinished builds."""
        found = self.trial.sql("select nspname from pg_namespace where nspname ~ '^highways__b' order by oid")
        return [name for (name,) in found]

    def kept(self) -> list[int]:
        """Return the versions that a roll back can publish again."""
        query = "select min(version) from {}.fct_one"
        return [self.trial.sql(query.format(name))[0][0] for name in self.schemas()]


@contextmanager
def locked() -> Iterator[int]:
    """Hold the build lock, as dbt's process does; yields the process id of its session."""
    with build_lock():
        yield int(os.environ["WAREHOUSE_BUILDER"])
