"""Loads of a small system, with a table per load mode, that are cut off."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import psycopg2

from benchmarks.trials import BUSY, PATIENCE, Child, Met, Moment, Outcome, connected, draw, hit_server, last_line, say
from demo import postgres
from ingestion.contracts import SourceError, System
from ingestion.pipeline import load_system
from warehouse import environment

SYSTEM = "raw_faults"
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
# One change of every table: rows are updated, inserted and, if `deletes` is 1, deleted. A row is touched once between
# two loads, so that every version of it is seen.
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
DIFFERENCES = {  # {table: (what has to be there, what is)}
    "replaced": (f"select {ROW} from faults.replaced", f"select {ROW} from {SYSTEM}.replaced"),
    "appended": (f"select {ROW} from faults.appended_ever", f"select {ROW} from {SYSTEM}.appended"),
    "merged": (f"select {ROW} from faults.merged", f"select {ROW} from {SYSTEM}.merged"),
    "versioned": (  # a row that is gone is closed when a load finds it gone, which is later than its last version
        "select v.*, updated_at, lead(updated_at) over w, lead(updated_at) over w is null and exists "
        "(select from faults.versioned as s where s.row_no = v.row_no) "
        "from faults.versions as v window w as (partition by row_no order by updated_at)",
        f"select {ROW}, valid_from, case when lead(valid_from) over w is not null or valid_to <= valid_from "
        f"then valid_to end, valid_to is null from {SYSTEM}.versioned "
        "window w as (partition by row_no order by valid_from)",
    ),
}
HALF_DONE = {  # what a load that was cut off may not leave behind: a query for what is wrong
    "a load landed some tables only": f"select load_id from governance.load_audit where system = '{SYSTEM}' "
    "group by load_id having count(*) <> 4",
    "rows in quarantine": f"select row_id from quarantine.rows where system = '{SYSTEM}'",
    "another table in the store": "select relname from pg_class where relkind = 'r' and relnamespace = "
    f"'{SYSTEM}_store'::regnamespace and relname <> all('{{{','.join(MODES)}}}')",
}
TOTALS = (
    "select distinct on (table_name) table_name, rows_total from governance.load_audit "
    f"where system = '{SYSTEM}' order by table_name, load_audit_id desc"
)


def contract() -> System:
    """The system of the load trials; the source is the schema `faults` beside the warehouse's own."""
    described = {"description": "A column.", "privacy": "none"}
    columns = [{"name": name, "data_type": kind} | described for name, kind in COLUMNS.items()]
    day = {"count": 1, "period": "day"}
    tables = [
        {"name": name, "load": mode, "key": ["row_no"], "columns": columns, "description": "One row per row."}
        | ({} if mode == "replace" else {"cursor": "updated_at"})
        for name, mode in MODES.items()
    ]  # fmt: skip
    people = dict.fromkeys(("information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing"), "Nobody")
    return System.model_validate(
        {
            "name": SYSTEM, "description": "A system on trial.", "kind": "database", "location": "FAULTS_URL",
            "source_schema": "faults", "schedule": "0 6 * * *", "time_zone": "Europe/London", "retention": "P1D",
            "freshness": {"warn_after": day, "error_after": day}, "tables": tables,
        }
        | people
    )  # fmt: skip


def load_once() -> None:
    """What the victim of a load trial does: one load, with a mark when each phase begins."""
    import dlt

    from ingestion import pipeline

    def marked(mark: str, function: Callable) -> Callable:
        def call(*values: object, **named: object) -> object:
            say(mark)
            return function(*values, **named)

        return call

    for phase in LOAD_MARKS[:3]:
        setattr(dlt.Pipeline, phase, marked(phase, getattr(dlt.Pipeline, phase)))
    pipeline.commit = marked("commit", pipeline.commit)
    say("ready")
    sys.stdin.readline()
    try:
        load_system(contract())
    except SourceError as error:
        sys.exit(f"refused: {error}")
    say("done")


class Loads:
    """Load trials on the warehouse that the environment names, whose embedded server belongs to `home`."""

    def __init__(self, home: Path, rows: int = 25_000):
        self.home, self.rows = home, rows
        self.connect()
        with connected(self.url) as cursor:
            cursor.execute(TABLES.format(rows=rows))
        load_system(contract())
        self.begin("the first")
        self.change(1)
        with self.child() as child:
            child.go()
            said = child.end()
        if said:
            raise RuntimeError(f"an undisturbed load failed: {said}")
        self.moments = child.moments()

    def connect(self) -> None:
        """Starts the server, if it does not run, and names it in the environment: it may have another port."""
        os.environ["WAREHOUSE_HOME"] = str(self.home)
        self.url = os.environ["WAREHOUSE_URL"] = postgres.start(self.home)
        for name in ("LOADER_URL", "DAGSTER_POSTGRES_URL", "DBT_HOST", "DBT_PORT", "DBT_ENV_SECRET_PASSWORD"):
            os.environ.pop(name, None)
        environment.prepare(systems=[SYSTEM])
        os.environ["FAULTS_URL"] = self.url.replace("postgresql:", "postgresql+psycopg2:")

    def child(self, before: list[str] | None = None) -> Child:
        """A load in a process of its own, not yet let go."""
        return Child("load_faults.load_once()", before)

    def change(self, deletes: int) -> None:
        """Changes every table at source, in rows that have not changed since the last load."""
        with connected(self.url) as cursor:
            cursor.execute(
                CHANGE.format(rows=self.rows, since=self.since, draw=self.rng.randrange(40), deletes=deletes)
            )

    def begin(self, seed: str) -> None:
        """From here on all that is drawn comes from the seed, and what changed before stays as it is."""
        self.rng = Random(seed)  # noqa: S311
        with connected(self.url) as cursor:
            cursor.execute(SINCE)
            self.since = cursor.fetchone()[0]

    def trial(self, fault: str, mark: str, seed: str) -> Outcome:
        """Changes the source, lets a load meet the fault, runs the next load and compares."""
        began = time.monotonic()
        self.begin(seed)
        moment = draw(self.rng, self.moments, mark)
        before = self.figures()
        self.change(max(moment.nth - 1, self.rng.randrange(2)))  # deletions make the load read a second time
        hit, said = LOAD_FAULTS[fault](self, moment)
        outcome = Outcome(fault, seed, str(moment), hit, last_line(said))
        if said and ("Traceback" in said or not outcome.said.startswith("refused: ")):
            outcome.problems.append("the failure is not said in one line")
        outcome.after = self.compare(outcome, before)
        if said == "" and outcome.after == "old":
            outcome.problems.append("a load said that it was done, and is not there")
        if self.rng.random() < 0.5:
            self.change(self.rng.randrange(2))  # the source does not wait for the next load
        self.next_load()
        outcome.lost = outcome.doubled = 0
        if self.compare(outcome, before) != "new":
            outcome.problems.append("after the next load the warehouse is not the source")
        outcome.problems += self.left_behind()
        outcome.seconds = time.monotonic() - began
        return outcome

    def figures(self) -> dict[str, object]:
        with connected(self.url) as cursor:
            return self._figures(cursor)

    def _figures(self, cursor) -> dict[str, object]:
        found = {}
        for table in MODES:
            cursor.execute(f"select count(*), sum(hashtextextended(t::text, 0)) from {SYSTEM}_store.{table} as t")
            found[table] = cursor.fetchone()
        return found

    def compare(self, outcome: Outcome, before: dict[str, object]) -> str:
        """`old` or `new`: as it was, or all of it as the source is; counts rows that are lost or doubled otherwise."""
        with connected(self.url) as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            for wrong, query in HALF_DONE.items():
                cursor.execute(query)
                if cursor.rowcount:
                    outcome.problems.append(f"{wrong}: {cursor.rowcount}")
            if self._figures(cursor) == before:
                return "old"
            for wanted, found in DIFFERENCES.values():
                for one, other, part in ((wanted, found, "lost"), (found, wanted, "doubled")):
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
                    outcome.problems.append(f"{table}: the landing says {total} rows, the source has {real}")
        if outcome.lost or outcome.doubled:
            outcome.problems.append(f"a mixed state: {outcome.lost} rows lost, {outcome.doubled} too many")
            return "mixed"
        return "new"

    def next_load(self) -> None:
        """An undisturbed load, as soon as the server has noticed that the one before is gone."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                return load_system(contract())
            except SourceError as error:
                if BUSY not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def left_behind(self) -> list[str]:
        """What a finished load left where nothing should be."""
        with connected(self.url) as cursor:
            cursor.execute(
                "select relname from pg_class where relkind = 'r' and relname not like '\\_dlt\\_%%' "
                "and relname <> all(%s) and relnamespace = %s::regnamespace",
                [list(MODES), f"{SYSTEM}_landing"],
            )
            tables = [f"table {row[0]} in the landing schema" for row in cursor]
        files = [path.name for path in (self.home / "dlt").rglob("*") if path.is_file()]
        return tables + [f"{name} in the working folder" for name in files]

    # --- faults

    def kill(self, moment: Moment) -> Met:
        with self.child() as victim:
            return victim.go(moment), None

    def server(self, how: str, moment: Moment) -> Met:
        """The server ends; it is back at once, or when the victim has given up."""
        with self.child() as victim:
            hit = victim.go(moment)
            hit_server(self.home, how)
            if self.rng.random() < 0.5:
                self.connect()
            said = victim.end()
            self.connect()
            return hit, said

    def folder_lost_under_way(self, moment: Moment) -> Met:
        with self.child() as victim:
            hit = victim.go(moment)
            shutil.rmtree(self.home / "dlt", ignore_errors=True)
            return hit, victim.end()

    def folder_lost_between(self, moment: Moment) -> Met:
        """The load is killed, and all that lies beside the server's data is gone before the next."""
        met = self.kill(moment)
        kept = {"postgres", "postgres.json", "postgres.lock", "full"}
        for path in self.home.iterdir():
            if path.name not in kept and not path.name.startswith("embedded"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.connect()
        return met

    def two_at_once(self, moment: Moment) -> Met:
        with self.child() as first, self.child() as second:
            second.await_mark("ready")
            hit = first.go(moment)
            second.go()
            said = [words for words in (first.end(), second.end()) if words]
        return hit and any(BUSY in words for words in said), "; ".join(said)

    def folder_full(self, _: Moment) -> Met:
        """The load's working folder is a mount that nobody else sees, of fewer bytes than it needs (about 45 a row)."""
        (self.home / "dlt").mkdir(exist_ok=True)
        mount = 'mount -t tmpfs -o size="$0" faults "$WAREHOUSE_HOME/dlt" && exec "$@"'
        with self.child([*own_mounts(), "sh", "-c", mount, str(self.rows * self.rng.randrange(1, 30))]) as victim:
            victim.go()
            said = victim.end()
        return bool(said), said

    def database_full(self, _: Moment) -> Met:
        """The loader's new tables lie on a disk that is too small, until the next load has space again."""
        disk = self.home / "full"
        disk.mkdir(exist_ok=True)
        size = self.rows * self.rng.randrange(1, 60)  # of some 80 bytes a row
        owner = psutil.Process(postgres.status(self.home)["pid"]).uids().real
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},uid={owner}", "faults", disk], check=True)
        try:
            connection = psycopg2.connect(self.url)
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"create tablespace faults location '{disk}'")
                cursor.execute("grant create on tablespace faults to svc_loader")
                cursor.execute("alter role svc_loader set default_tablespace = 'faults'")
                try:
                    with self.child() as victim:
                        victim.go()
                        said = victim.end()
                finally:
                    cursor.execute("alter role svc_loader reset default_tablespace")
                    for kind in ("table", "index"):
                        cursor.execute(f"alter {kind} all in tablespace faults set tablespace pg_default")
                    cursor.execute("drop tablespace faults")
            connection.close()
        finally:
            subprocess.run(["umount", disk], check=True)
        return bool(said), said


LOAD_FAULTS: dict[str, Callable[[Loads, Moment], Met]] = {
    "load killed": Loads.kill,
    "server killed in a load": lambda loads, moment: loads.server("killed", moment),
    "server stopped at once in a load": lambda loads, moment: loads.server("stopped at once", moment),
    "working folder lost in a load": Loads.folder_lost_under_way,
    "working folder lost after a killed load": Loads.folder_lost_between,
    "two loads at once": Loads.two_at_once,
    "working folder full": Loads.folder_full,
    "database full": Loads.database_full,
}


def own_mounts() -> list[str]:
    """What gives a program mounts of its own; empty where the machine does not let us."""
    for words in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        with suppress(OSError):
            if not subprocess.run([*words, "true"], capture_output=True).returncode:
                return words
    return []


def cannot(fault: str) -> str:
    """Why this account cannot bring about the fault on this machine; empty where it can."""
    if fault == "database full" and os.geteuid():
        return "a small disk for the database needs root"
    if fault == "working folder full" and not own_mounts():
        return "this machine lets us mount nothing"
    return ""
