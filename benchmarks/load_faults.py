"""Fault trials of loads: a small system with one table per load mode."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.trials import (
    BUSY,
    TIMEOUT,
    Child,
    FaultResult,
    Moment,
    Outcome,
    cursor_on,
    draw,
    last_line,
    print_mark,
    small_disk,
    stop_server,
)
from demo import postgres
from ingestion.contracts import SourceError, System
from ingestion.pipeline import load_system
from warehouse import environment

SYSTEM = "raw_faults"
YEAR_AHEAD = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", "+365d"]
LOAD_MARKS = ("extract", "normalize", "load", "commit")
COLUMNS = {"row_no": "bigint", "name": "text", "amount": "numeric(18,2)", "updated_at": "timestamptz"}
MODES = {"replaced": "replace", "appended": "append", "merged": "merge", "versioned": "history"}
TABLES = """
    create schema faults;
    create sequence faults.trial;
    create table faults.replaced (row_no bigint primary key, name text, amount numeric(18,2), updated_at timestamptz);
    insert into faults.replaced
    select i, 'row ' || i, i / 100.0, '2025-01-01Z'::timestamptz from generate_series(1, {rows}) as i;
    create table faults.appended as table faults.replaced;
    create table faults.appended_ever as table faults.replaced;
    create table faults.merged as table faults.replaced;
    create table faults.versioned as table faults.replaced;
    create table faults.versions as table faults.replaced;
    alter table faults.merged add primary key (row_no);
    alter table faults.versioned add primary key (row_no)
"""
# One change of every table: rows are updated, inserted and, if `deletes` is 1, deleted. Each row changes at most once
# between two loads, so that every version is loaded.
CHANGE = """
    create temporary table step on commit drop as
    select n, '2025-01-02Z'::timestamptz + n * interval '1 minute' as at from nextval('faults.trial') as n;
    delete from faults.appended using step
    where updated_at < '{since}' and (row_no + {draw}) % 40 = 0 and {deletes} = 1;
    with added as (
        insert into faults.appended select (step.n + 100) * 10000 + i, 'row ' || i, i / 100.0, at
        from step, generate_series(1, {rows} / 40) as i returning *
    ) insert into faults.appended_ever table added;
""" + "".join(
    f"""
    delete from faults.{table} using step
    where updated_at < '{{since}}' and (row_no + {{draw}}) % 40 = 0 and {{deletes}} = 1;
    with changed as (
        update faults.{table} set name = 'changed ' || n, amount = amount + 0.01, updated_at = at from step
        where updated_at < '{{since}}' and (row_no + {{draw}}) % 5 = 1 returning {table}.*
    ), added as (
        insert into faults.{table} select (step.n + 100) * 10000 + i, 'row ' || i, i / 100.0, at
        from step, generate_series(1, {{rows}} / 40) as i returning *
    ){log};
"""
    for table, log in {
        "replaced": " select from added",
        "merged": " select from added",
        "versioned": " insert into faults.versions table changed union all table added",
    }.items()
)
SINCE = "select '2025-01-02Z'::timestamptz + (last_value + 0.5) * interval '1 minute' from faults.trial"
ROW = ", ".join(COLUMNS)
DIFFERENCES = {  # {table: (query for the expected rows, query for the actual rows)}
    "replaced": (f"select {ROW} from faults.replaced", f"select {ROW} from {SYSTEM}.replaced"),
    "appended": (f"select {ROW} from faults.appended_ever", f"select {ROW} from {SYSTEM}.appended"),
    "merged": (f"select {ROW} from faults.merged", f"select {ROW} from {SYSTEM}.merged"),
    "versioned": (  # a deleted row is closed by the load that misses it, later than its last version
        "select v.*, updated_at, lead(updated_at) over w, lead(updated_at) over w is null and exists "
        "(select from faults.versioned as s where s.row_no = v.row_no) "
        "from faults.versions as v window w as (partition by row_no order by updated_at)",
        f"select {ROW}, valid_from, case when lead(valid_from) over w is not null or valid_to <= valid_from "
        f"then valid_to end, valid_to is null from {SYSTEM}.versioned "
        "window w as (partition by row_no order by valid_from)",
    ),
}
INCOMPLETE_LOAD = {  # what an interrupted load must not leave behind: {problem: query}
    "a load recorded some tables only": f"select load_id from governance.load_audit where system = '{SYSTEM}' "
    "group by load_id having count(*) <> 4",
    "rows in quarantine": f"select row_id from quarantine.rows where system = '{SYSTEM}'",
    "an unknown table in the store": "select relname from pg_class where relkind = 'r' and relnamespace = "
    f"'{SYSTEM}_store'::regnamespace and relname <> all('{{{','.join(MODES)}}}')",
}
TOTALS = (
    "select distinct on (table_name) table_name, rows_total from governance.load_audit "
    f"where system = '{SYSTEM}' order by table_name, load_audit_id desc"
)


def contract() -> System:
    """The system of the load trials; the source is the schema `faults` of the warehouse's server."""
    described = {"description": "A column.", "privacy": "none"}
    columns = [{"name": name, "data_type": kind} | described for name, kind in COLUMNS.items()]
    day = {"count": 1, "period": "day"}
    tables = [
        {"name": name, "load": mode, "key": ["row_no"], "columns": columns, "description": "One row per row."}
        | ({} if mode == "replace" else {"cursor": "updated_at"})
        for name, mode in MODES.items()
    ]  # fmt: skip
    people = dict.fromkeys(("information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing"), "none")
    return System.model_validate(
        {
            "name": SYSTEM, "description": "Fault trials.", "kind": "database", "location": "FAULTS_URL",
            "source_schema": "faults", "schedule": "0 6 * * *", "time_zone": "Europe/London", "retention": "P1D",
            "freshness": {"warn_after": day, "error_after": day}, "tables": tables,
        }
        | people
    )  # fmt: skip


def load_once() -> None:
    """The victim of a load trial: one load, with a mark at the start of each phase."""
    import dlt

    from ingestion import pipeline

    def marked(mark: str, function: Callable) -> Callable:
        def call(*values: object, **named: object) -> object:
            print_mark(mark)
            return function(*values, **named)

        return call

    for phase in LOAD_MARKS[:3]:
        setattr(dlt.Pipeline, phase, marked(phase, getattr(dlt.Pipeline, phase)))
    pipeline.commit = marked("commit", pipeline.commit)
    print_mark("ready")
    sys.stdin.readline()
    try:
        load_system(contract())
    except SourceError as error:
        sys.exit(f"refused: {error}")
    print_mark("done")


class Loads:
    """Load trials on the warehouse of the environment, whose embedded server belongs to `home`."""

    def __init__(self, home: Path, rows: int = 25_000):
        self.home, self.rows = home, rows
        self.connect()
        with cursor_on(self.url) as cursor:
            cursor.execute(TABLES.format(rows=rows))
        load_system(contract())
        self.reseed("the first")
        self.change(1)
        with self.child() as child:
            child.go()
            message = child.end()
        if message:
            raise RuntimeError(f"an undisturbed load failed: {message}")
        self.moments = child.moments()

    def connect(self) -> None:
        """Start the server if necessary and set its URL in the environment; its port may have changed."""
        os.environ["WAREHOUSE_HOME"] = str(self.home)
        self.url = os.environ["WAREHOUSE_URL"] = postgres.start(self.home)
        for name in ("LOADER_URL", "DAGSTER_POSTGRES_URL", "DBT_HOST", "DBT_PORT", "DBT_ENV_SECRET_PASSWORD"):
            os.environ.pop(name, None)
        environment.prepare(systems=[SYSTEM])
        os.environ["FAULTS_URL"] = self.url.replace("postgresql:", "postgresql+psycopg2:")

    def child(self, before: list[str] | None = None) -> Child:
        """A load in its own process, not yet started."""
        return Child("load_faults.load_once()", before)

    def change(self, deletes: int) -> None:
        """Change every table at source, in rows without a change since the last load."""
        with cursor_on(self.url) as cursor:
            cursor.execute(
                CHANGE.format(rows=self.rows, since=self.since, draw=self.rng.randrange(40), deletes=deletes)
            )

    def reseed(self, seed: str) -> None:
        """Draw from this seed from now on; earlier changes stay."""
        self.rng = Random(seed)  # noqa: S311
        with cursor_on(self.url) as cursor:
            cursor.execute(SINCE)
            self.since = cursor.fetchone()[0]

    def trial(self, fault: str, mark: str, seed: str) -> Outcome:
        """Change the source, let a load meet the fault, run the next load and compare."""
        started = time.monotonic()
        self.reseed(seed)
        moment = draw(self.rng, self.moments, mark)
        before = self.figures()
        self.change(max(moment.nth - 1, self.rng.randrange(2)))  # deletions cause a second read, a full refresh
        hit, message = LOAD_FAULTS[fault](self, moment)
        outcome = Outcome(fault, seed, str(moment), hit, last_line(message))
        if message and ("Traceback" in message or not outcome.message.startswith("refused: ")):
            outcome.problems.append("the failure's message is longer than one line")
        outcome.after = self.compare(outcome, before)
        if message == "" and outcome.after == "old":
            outcome.problems.append("a load reported success without its rows")
        if self.rng.random() < 0.5:
            self.change(self.rng.randrange(2))  # the source changes again before the next load
        self.next_load()
        outcome.lost = outcome.duplicated = 0
        if self.compare(outcome, before) != "new":
            outcome.problems.append("after the next load the warehouse differs from the source")
        outcome.problems += self.leftovers()
        outcome.seconds = time.monotonic() - started
        return outcome

    def figures(self) -> dict[str, object]:
        with cursor_on(self.url) as cursor:
            return self._figures(cursor)

    def _figures(self, cursor) -> dict[str, object]:
        found = {}
        for table in MODES:
            cursor.execute(f"select count(*), sum(hashtextextended(t::text, 0)) from {SYSTEM}_store.{table} as t")
            found[table] = cursor.fetchone()
        return found

    def compare(self, outcome: Outcome, before: dict[str, object]) -> str:
        """`old` (as before) or `new` (as the source), otherwise `mixed`; counts lost and duplicated rows."""
        with cursor_on(self.url) as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            for problem, query in INCOMPLETE_LOAD.items():
                cursor.execute(query)
                if cursor.rowcount:
                    outcome.problems.append(f"{problem}: {cursor.rowcount}")
            if self._figures(cursor) == before:
                return "old"
            for expected, found in DIFFERENCES.values():
                for one, other, part in ((expected, found, "lost"), (found, expected, "duplicated")):
                    cursor.execute(f"select count(*) from (({one}) except all ({other})) as d")
                    setattr(outcome, part, getattr(outcome, part) + cursor.fetchone()[0])
            counted = {
                "appended": "faults.appended_ever",
                **{table: f"faults.{table}" for table in ("replaced", "merged", "versioned")},
            }
            cursor.execute(TOTALS)
            for table, total in cursor.fetchall():
                cursor.execute(f"select count(*) from {counted[table]}")
                if (real := cursor.fetchone()[0]) != total:
                    outcome.problems.append(f"{table}: the load result has {total} rows, the source {real}")
        if outcome.lost or outcome.duplicated:
            outcome.problems.append(f"a mixed state: {outcome.lost} rows lost, {outcome.duplicated} rows duplicated")
            return "mixed"
        return "new"

    def next_load(self) -> None:
        """An undisturbed load, as soon as the server has noticed the end of the previous one."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return load_system(contract())
            except SourceError as error:
                if BUSY not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def leftovers(self) -> list[str]:
        """Files and tables left after a load."""
        with cursor_on(self.url) as cursor:
            cursor.execute(
                "select relname from pg_class where relkind = 'r' and relname not like '\\_dlt\\_%%' "
                "and relname <> all(%s) and relnamespace = %s::regnamespace",
                [list(MODES), f"{SYSTEM}_landing"],
            )
            tables = [f"table {row[0]} in the landing schema" for row in cursor]
        files = [path.name for path in (self.home / "dlt").rglob("*") if path.is_file()]
        return tables + [f"{name} in the working folder" for name in files]

    # --- faults

    def kill(self, moment: Moment) -> FaultResult:
        with self.child() as victim:
            return victim.go(moment), None

    def server(self, how: str, moment: Moment) -> FaultResult:
        """Stop the server; restart it at once, or after the victim has ended."""
        with self.child() as victim:
            hit = victim.go(moment)
            stop_server(self.home, how)
            if self.rng.random() < 0.5:
                self.connect()
            message = victim.end()
            self.connect()
            return hit, message

    def folder_lost_during(self, moment: Moment) -> FaultResult:
        with self.child() as victim:
            hit = victim.go(moment)
            shutil.rmtree(self.home / "dlt", ignore_errors=True)
            return hit, victim.end()

    def folder_lost_between(self, moment: Moment) -> FaultResult:
        """Kill the load and delete everything but the server's data and the vault key before the next load."""
        met = self.kill(moment)
        kept = {"postgres", "postgres.json", "postgres.lock", "full", "vault.key"}
        for path in self.home.iterdir():
            if path.name not in kept and not path.name.startswith("embedded"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.connect()
        return met

    def two_loads(self, moment: Moment) -> FaultResult:
        with self.child() as first, self.child() as second:
            second.await_mark("ready")
            hit = first.go(moment)
            second.go()
            message = [text for text in (first.end(), second.end()) if text]
        return hit and any(BUSY in text for text in message), "; ".join(message)

    def folder_full(self, _: Moment) -> FaultResult:
        """Mount the load's working folder with less space than it needs (about 45 bytes a row), for the load only."""
        (self.home / "dlt").mkdir(exist_ok=True)
        mount = 'mount -t tmpfs -o size="$0" faults "$WAREHOUSE_HOME/dlt" && exec "$@"'
        with self.child([*own_mounts(), "sh", "-c", mount, str(self.rows * self.rng.randrange(1, 30))]) as victim:
            victim.go()
            message = victim.end()
        return bool(message), message

    def database_full(self, _: Moment) -> FaultResult:
        """Put the loader's new tables on a disk that is too small, until the next load."""
        size = self.rows * self.rng.randrange(1, 60)  # about 80 bytes a row
        with small_disk(self.home, size, "svc_loader"), self.child() as victim:
            victim.go()
            message = victim.end()
        return bool(message), message

    def clock_ahead(self, _: Moment) -> FaultResult:
        """Let the load's machine be a year ahead; its clock is right again for the next load."""
        with self.child(YEAR_AHEAD) as victim:
            victim.go()
            message = victim.end()
        return True, message


LOAD_FAULTS: dict[str, Callable[[Loads, Moment], FaultResult]] = {
    "load killed": Loads.kill,
    "server killed in a load": lambda loads, moment: loads.server("killed", moment),
    "server stopped at once in a load": lambda loads, moment: loads.server("stopped at once", moment),
    "working folder lost in a load": Loads.folder_lost_during,
    "working folder lost after a killed load": Loads.folder_lost_between,
    "two loads at once": Loads.two_loads,
    "working folder full": Loads.folder_full,
    "database full": Loads.database_full,
    "clock a year ahead": Loads.clock_ahead,
}


def own_mounts() -> list[str]:
    """A command prefix that gives a program its own mounts; empty if this machine does not allow it."""
    for words in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        with suppress(OSError):
            if not subprocess.run([*words, "true"], capture_output=True).returncode:
                return words
    return []


def obstacle(fault: str) -> str:
    """Why this account cannot cause the fault on this machine; empty if it can."""
    if fault == "database full" and os.geteuid():
        return "a small disk for the database needs root"
    if fault == "working folder full" and not own_mounts():
        return "this machine does not allow mounts"
    if fault == "clock a year ahead" and not shutil.which("faketime"):
        return "needs faketime: `make test-packages` (Debian, root)"
    return ""
