"""Kills loads and builds at random moments, and proves that the next undisturbed run makes everything right.

`python -m benchmarks.faults [--trials N] [--seed S]`: results/faults.md and .json. Two kinds of trial, each of which
first changes a source: `Loads` on a small system with a table per load mode, `Builds` on the demo county with readers.
A trial draws a moment from a seed: the n-th mark that the victim prints as it goes, and a delay after it.
"""

import argparse
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import median

import psutil
import psycopg2

from demo import postgres
from ingestion.contracts import ROOT, SourceError, System, read_contracts
from ingestion.pipeline import load_system
from warehouse import environment

PATIENCE = 120  # seconds for a victim to end by itself, or for the next run to be let in
HARD = {"killed": signal.SIGKILL, "stopped at once": signal.SIGQUIT}  # the server; SIGQUIT is its immediate shutdown
BUSY = "is being loaded by another run"

# --- what a trial is made of


@dataclass
class Outcome:
    """What became of a trial: `hit`: the fault met a run at work; `after`: what was there before the next."""

    fault: str
    seed: str
    moment: str
    hit: bool
    said: str
    after: str = ""
    lost: int = 0
    doubled: int = 0
    reads: int = 0
    reader_errors: int = 0
    mixed_reads: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass
class Moment:
    """When the fault comes: `delay` seconds after the `nth` time that the victim says `mark`."""

    mark: str
    nth: int
    delay: float

    def __str__(self) -> str:
        return f"{self.mark} {self.nth} + {self.delay:.3f} s"


class Child:
    """A function of this module in a process group of its own; it waits to be let go, and prints marks as it works."""

    def __init__(self, call: str, before: list[str] | None = None, env: dict[str, str] | None = None):
        command = [*(before or []), sys.executable, "-c", f"import benchmarks.faults as f; f.{call}"]
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed at the end
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.marks: list[tuple[float, str]] = []
        self.news = threading.Condition()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            with self.news:
                self.marks.append((time.monotonic(), line.strip()))
                self.news.notify_all()
        with self.news:
            self.marks.append((time.monotonic(), "ended"))
            self.news.notify_all()

    def await_mark(self, mark: str, nth: int = 1) -> bool:
        """Whether the child says it, rather than end before."""
        with self.news:
            self.news.wait_for(lambda: self.said("ended") or self.said(mark) >= nth, PATIENCE)
        return self.said(mark) >= nth

    def said(self, mark: str) -> int:
        return sum(said == mark for _, said in self.marks)

    def go(self, moment: Moment | None = None) -> bool:
        """Lets it begin; with a moment, waits for that and says whether the child is at work then."""
        self.await_mark("ready")
        with suppress(BrokenPipeError):
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        if moment and self.await_mark(moment.mark, moment.nth):
            time.sleep(moment.delay)
            return self.process.poll() is None
        return False

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> str:
        """What it said when it ended by itself: nothing, or why it failed. One that does not end is killed."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return f"did not end within {PATIENCE} s"
        self.listener.join()
        self.errors.seek(0)
        errors = self.errors.read().decode(errors="replace").strip()
        return "" if not status else errors or f"status {status}"

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.process.wait()
        self.listener.join()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(BrokenPipeError):
                stream.close()

    def moments(self) -> list[tuple[str, int, float]]:
        """(mark, how manieth, seconds until the next) of all that it said between being let go and its end."""
        count: dict[str, int] = {}
        found = []
        for (at, mark), (until, _) in zip(self.marks, self.marks[1:], strict=False):
            count[mark] = count.get(mark, 0) + 1
            if mark not in ("ready", "done"):
                found.append((mark, count[mark], until - at))
        return found


def last_line(said: str | None) -> str:
    return said.splitlines()[-1].strip() if said else ""


def say(mark: str) -> None:
    sys.stdout.write(f"{mark}\n")  # in one piece: several threads speak
    sys.stdout.flush()


def draw(rng: Random, moments: list[tuple[str, int, float]], mark: str) -> Moment:
    """A moment between one of these marks and what usually follows it, or a little later."""
    _, nth, seconds = rng.choice([moment for moment in moments if moment[0] == mark])
    return Moment(mark, nth, rng.random() * 1.1 * seconds)


@contextmanager
def connected(url: str) -> Iterator:
    """A cursor; what it does is committed at the end, and is on the disk even if the server is killed then."""
    connection = psycopg2.connect(url, options="-c synchronous_commit=on")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def hit_server(home: Path, how: str) -> None:
    """Ends the server without warning, and waits until its main process is gone."""
    pid = postgres.status(home)["pid"]
    os.kill(pid, HARD[how])
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


Met = tuple[bool, str | None]  # whether a run was at work, and what it said at its end if it came to one


# --- loads

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
    "a load landed some tables only": f"select load_id from governance.landings where system = '{SYSTEM}' "
    "group by load_id having count(*) <> 4",
    "rows in quarantine": f"select row_id from quarantine.rows where system = '{SYSTEM}'",
    "another table in the store": "select relname from pg_class where relkind = 'r' and relnamespace = "
    f"'{SYSTEM}_store'::regnamespace and relname <> all('{{{','.join(MODES)}}}')",
}
TOTALS = (
    "select distinct on (table_name) table_name, rows_total from governance.landings "
    f"where system = '{SYSTEM}' order by table_name, landing_id desc"
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
        return Child("load_once()", before)

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


# --- builds

STATES = ("A", "B")
WATCHED = {  # {publish set: one statement over two of its marts, whose answer tells the state of each}
    "finance": "select (select sum(net_amount_gbp) from finance.fct_supplier_payments) + "
    "(select sum(net_amount_gbp) from finance.fct_card_payments), "
    '(select sum("Paid by invoice net GBP" + "Paid by card net GBP") from finance.rpt_monthly_spend_by_supplier)',
    "highways": "select (select min(job_reference) from highways.fct_defects where job_reference like 'STATE %'), "
    "(select min(subject_name) from highways.fct_enquiries where subject_name like 'STATE %')",
}
LOADED = {"finance": ("erp", {"ledger_lines"}), "highways": ("confirm", {"defect", "enquiry_subject"})}
BETWEEN = {  # what lies between the raw tables that a trial changes and the marts; more is not built anew each time
    "finance": "int_supplier_payments_conformed",
    "highways": "int_enquiries_conformed int_defects_conformed",
}
BUILD_MARKS = ("model", "test", "tested", "publish", "commit")
CHANGE_CONFIRM = (
    "update defect set job_reference = 'STATE {0}' where instruction_uid = (select min(instruction_uid) from defect); "
    "update enquiry_subject set subject_name = 'STATE {0}' where subject_code = 'GULL'"
)
EXTRA_FILE = "worcestershire-supplier-spend-extra.zip"


def build_once(publish_set: str) -> None:
    """What the victim of a build trial does: loads what has changed, then builds, tests and publishes one set.

    It says when each model and test begins, when all tests are done, and when the publication and its commit begin.
    An empty name loads and builds everything.
    """
    from dbt.cli.main import dbtRunner

    contracts, begun = read_contracts(), set()

    def listen(event: object) -> None:
        name, data = event.info.name, event.data
        if name not in ("NodeStart", "SQLQuery", "SQLCommit"):
            return
        kind = data.node_info.resource_type
        if name == "NodeStart" and kind in ("model", "test"):
            begun.add(kind)
            say(kind)
        elif name == "SQLCommit" and not kind and "test" in begun:  # dbt's own, after the last node
            say("tested")
        elif name == "SQLQuery" and "governance.publish(" in data.sql:
            say("publish")
        elif name == "SQLQuery" and kind == "operation" and data.sql.rstrip().endswith("commit"):
            say("commit")

    say("ready")
    sys.stdin.readline()
    chosen = []
    if publish_set:
        system, tables = LOADED[publish_set]
        load_system(contracts[system], tables)
        chosen = ["--select", f"{BETWEEN[publish_set]} path:dbt_project/models/marts/{publish_set}"]
    else:
        for declared in contracts.values():
            load_system(declared)
    build = dbtRunner(callbacks=[listen]).invoke(["--quiet", "build", *chosen])
    if not build.success:
        sys.exit(f"refused: {build.exception or 'dbt: a model, a test or the publication failed'}")
    say("done")


class Readers:
    """Two readers who poll the published sets while the block lasts; `outage`: the server is away on purpose."""

    def __init__(self, url: str, sets: tuple[str, ...]):
        self.url, self.sets, self.outage, self.stop = url, sets, threading.Event(), threading.Event()
        self.answers: list[dict[str, list[tuple]]] = [{name: [] for name in sets} for _ in range(2)]
        self.errors: list[str] = []
        self.threads = [threading.Thread(target=self._poll, args=(answers,)) for answers in self.answers]

    def __enter__(self) -> "Readers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _poll(self, answers: dict[str, list[tuple]]) -> None:
        connection = None
        while not self.stop.wait(0.02):
            try:
                if connection is None:
                    connection = psycopg2.connect(self.url)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    for publish_set in self.sets:
                        cursor.execute(WATCHED[publish_set])
                        answers[publish_set].append(cursor.fetchone())
            except psycopg2.Error as error:
                gone = connection is None or connection.closed
                if not (gone and self.outage.is_set()):
                    self.errors.append(str(error).strip())
                if gone:
                    connection = None
        if connection:
            connection.close()


class Builds:
    """Build trials on the demo county in `home`; `env` is the environment of those who work on it.

    Each trial takes one of `sets` from the state that it is in, A or B, to the other, by a change at source. How raw
    tables and marts look in each state is taken from undisturbed builds: with `whole`, of everything.
    """

    def __init__(self, home: Path, env: dict[str, str], sets: tuple[str, ...] = tuple(WATCHED), whole: bool = True):
        self.home, self.env, self.sets = home, env, sets
        self.url = postgres.start(home)
        self.landing = home / "landing" / "finance"
        if whole:
            self.run("")  # so that Confirm and the landing folder are there
        self.figures: dict[tuple[str, str], dict] = {}
        self.answers: dict[tuple[str, str], tuple] = {}
        self.moments: dict[str, list] = {}
        for state in STATES:
            for publish_set in sets:
                self.change(publish_set, state)
            if whole:
                self.run("")
                self.figures |= {(publish_set, state): self.look(publish_set) for publish_set in sets}
            for publish_set in sets:
                self.moments[publish_set] = self.run(publish_set).moments()
                alone, key = self.look(publish_set), (publish_set, state)
                if alone != self.figures.setdefault(key, alone):
                    raise RuntimeError(f"{publish_set}: building it alone is not the same as building everything")
                self.answers[key] = self.sql(WATCHED[publish_set])[0]
        self.states = dict.fromkeys(sets, STATES[-1])
        self.sql("drop role if exists fault_reader")
        self.sql("create role fault_reader login password 'fault_reader' in role read_finance, read_highways")

    def close(self) -> None:
        """Leaves no role behind; the sources stay in the states that they are in."""
        self.sql("drop role if exists fault_reader")

    def sql(self, query: str, database: str = "warehouse") -> list[tuple]:
        with connected(self.url.rpartition("/")[0] + f"/{database}") as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def child(self, publish_set: str) -> Child:
        """A run in a process of its own, in the environment that the console script makes."""
        words = [sys.executable, "-c", "from warehouse.cli import main; main()", "exec", "--"]
        return Child(f"build_once({publish_set!r})", words, self.env)

    def run(self, publish_set: str) -> Child:
        """An undisturbed run."""
        with self.child(publish_set) as child:
            child.go()
            if said := child.end():
                raise RuntimeError(f"an undisturbed run failed: {said}")
            return child

    def change(self, publish_set: str, state: str) -> None:
        if publish_set == "highways":
            self.sql(CHANGE_CONFIRM.format(state), "confirm")
        elif state == "A":
            (self.landing / EXTRA_FILE).unlink(missing_ok=True)
        else:
            source = min(self.landing.glob("*supplier-spend-*.zip"))
            with zipfile.ZipFile(source) as archive:
                text = archive.read(archive.namelist()[0]).decode("utf-8-sig")
            head, line = list(csv.reader(io.StringIO(text)))[:2]
            line[8] = "1.00"
            new = io.StringIO()
            csv.writer(new).writerows([head, line])
            draft = self.landing / "draft"
            with zipfile.ZipFile(draft, "w") as archive:
                archive.writestr(EXTRA_FILE.replace(".zip", ".csv"), new.getvalue())
            draft.rename(self.landing / EXTRA_FILE)

    def look(self, publish_set: str) -> dict[str, tuple]:
        """Rows, and a hash of them, of the set's tables and of the raw tables below it."""
        system, _ = LOADED[publish_set]
        tables = self.sql(
            "select relnamespace::regnamespace::text, relname from pg_class where relkind in ('r', 'v') "
            f"and relnamespace in ('{publish_set}'::regnamespace, 'raw_{system}'::regnamespace) order by 1, 2"
        )
        return {
            f"{schema}.{table}": self.sql(
                f"select count(*), sum(hashtextextended(to_jsonb(t)::text, 0)) from {schema}.{table} as t"
            )[0]
            for schema, table in tables
        }

    def trial(self, fault: str, mark: str, seed: str) -> Outcome:
        """Changes the source of a set, lets a run meet the fault while readers look on, runs again and compares."""
        began, rng = time.monotonic(), Random(seed)  # noqa: S311
        publish_set = rng.choice(self.sets)
        old = self.states[publish_set]
        new = STATES[old == "A"]
        moment = draw(rng, self.moments[publish_set], mark)
        reader = re.sub(r"//[^@]+@", "//fault_reader:fault_reader@", self.url)
        published = (
            f"select count(*) from governance.publications where action = 'publish' and publish_set = '{publish_set}'"
        )
        before = self.sql(published)
        self.change(publish_set, new)
        with Readers(reader, self.sets) as readers:
            with self.child(publish_set) as victim:
                hit, said = victim.go(moment), None
                if how := BUILD_FAULTS[fault]:
                    said = self.without_server(how, victim, readers, rng)
            self.settle()
            outcome = Outcome(fault, seed, f"{publish_set}, {moment}", hit, last_line(said))
            words = {self.answers[publish_set, old]: "old", self.answers[publish_set, new]: "new"}
            outcome.after = words.get(self.sql(WATCHED[publish_set])[0], "mixed")
            if (outcome.after == "new") != (self.sql(published) != before):
                outcome.problems.append("what readers see is not what is written down as published")
            if said == "" and outcome.after == "old":
                outcome.problems.append("a run said that it was done, and readers do not see it")
            self.run(publish_set)
            self.states[publish_set] = new
        self.judge(outcome, readers, publish_set, old)
        outcome.seconds = time.monotonic() - began
        return outcome

    def without_server(self, how: str, victim: Child, readers: Readers, rng: Random) -> str:
        """The server ends; it is back at once, or when the victim has given up. What the victim said."""
        readers.outage.set()
        hit_server(self.home, how)
        if rng.random() < 0.5:
            postgres.start(self.home)
        said = victim.end()
        if postgres.start(self.home) != self.url:
            raise RuntimeError("the server came back at another port")
        time.sleep(0.5)  # for readers who were just being turned away
        readers.outage.clear()
        return said

    def settle(self) -> None:
        """Waits until the server has noticed that a killed run is gone."""
        give_up = time.monotonic() + PATIENCE
        while self.sql("select from pg_stat_activity where usename in ('svc_dbt', 'svc_loader')"):
            if time.monotonic() > give_up:
                raise RuntimeError("the sessions of a killed run did not end")
            time.sleep(0.02)

    def judge(self, outcome: Outcome, readers: Readers, publish_set: str, old: str) -> None:
        """Compares with undisturbed builds, and goes through what the readers saw."""
        for other, state in self.states.items():
            found, wanted = self.look(other), self.figures[other, state]
            for table in sorted(found.keys() | wanted.keys()):
                rows, right = (figures.get(table, (0, None)) for figures in (found, wanted))
                if rows != right:
                    outcome.problems.append(f"{table}: {rows[0]} rows, {right[0]} after an undisturbed build")
                    outcome.lost += max(right[0] - rows[0], 0)
                    outcome.doubled += max(rows[0] - right[0], 0)
        for answers in readers.answers:
            for name, seen in answers.items():
                states = (old, self.states[name]) if name == publish_set else (self.states[name],)
                allowed = [self.answers[name, state] for state in states]
                outcome.reads += len(seen)
                outcome.mixed_reads += sum(answer not in allowed for answer in seen)
                order = [allowed.index(answer) for answer in seen if answer in allowed]
                if order != sorted(order):
                    outcome.problems.append(f"{name}: a reader saw the old set after the new one")
        outcome.reader_errors = len(readers.errors)
        outcome.problems += sorted(set(readers.errors))
        if outcome.mixed_reads:
            outcome.problems.append(f"{outcome.mixed_reads} answers that no published set gives")


BUILD_FAULTS = {
    "build killed": None,
    "server killed in a build": "killed",
    "server stopped at once in a build": "stopped at once",
}


# --- all of it

KILLED = "load killed"
LOAD_PLAN = [
    *(KILLED, "server killed in a load", KILLED, "two loads at once", KILLED, "working folder lost in a load"),
    *(KILLED, "server stopped at once in a load", KILLED, "working folder full", KILLED, "database full"),
    *(KILLED, "working folder lost after a killed load", KILLED, "server killed in a load"),
]
BUILD_PLAN = ["build killed"] * 5 + ["server killed in a build", "build killed", "server stopped at once in a build"]
NOTE = (
    "Each trial changes a source, lets a run meet the fault at a moment drawn from its seed, and compares after the "
    "next undisturbed run: raw tables with the source, row for row and version for version; marts with those of "
    "undisturbed builds. `after` is what was there before that run: all old or all new."
)


def plan(faults: list[str], marks: tuple[str, ...], trials: int) -> Iterator[tuple[str, str]]:
    """(fault, mark) of each trial: the faults in turn, and for each fault the marks in turn."""
    turns: dict[str, Iterator[str]] = {}
    for fault in islice(cycle(faults), trials):
        yield fault, next(turns.setdefault(fault, cycle(marks)))


def attempt(trial: Callable[[str, str, str], Outcome], fault: str, mark: str, seed: str) -> Outcome:
    """A trial's outcome, which is told; one that could not be brought to its end has failed."""
    try:
        outcome = trial(fault, mark, seed)
    except (SourceError, RuntimeError, OSError, psycopg2.Error) as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        outcome = Outcome(fault, seed, mark, True, "", "?", problems=[f"{type(error).__name__}: {first_line}"])
    print(json.dumps(asdict(outcome)), flush=True)
    return outcome


def summary(outcomes: list[Outcome]) -> list[dict]:
    """A row per fault, and one for all."""
    groups = {name: [o for o in outcomes if o.fault == name] for name in dict.fromkeys(o.fault for o in outcomes)}
    return [
        {
            "fault": name,
            "trials": len(group),
            "met a run at work": sum(o.hit for o in group),
            "recovered": sum(not o.problems for o in group),
            "rows lost": sum(o.lost for o in group),
            "rows doubled": sum(o.doubled for o in group),
            "readers' answers": sum(o.reads for o in group),
            "reader errors": sum(o.reader_errors for o in group),
            "mixed reads": sum(o.mixed_reads for o in group),
            "seconds per trial": median(o.seconds for o in group),
        }
        for name, group in (groups | {"all": outcomes}).items()
    ]


def main() -> None:
    """Two thirds of the trials are loads; exit status 1 if any was not made good by the next run."""
    from benchmarks import harness
    from demo import systems

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=72)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    skipped = {fault: why for fault in LOAD_FAULTS if (why := cannot(fault))}
    outcomes: list[Outcome] = []

    def run(trial: Callable, faults: list[str], marks: tuple[str, ...], trials: int) -> None:
        for fault, mark in plan(faults, marks, trials):
            outcomes.append(attempt(trial, fault, mark, f"{given.seed}-{len(outcomes) + 1}"))

    with harness.warehouse([SYSTEM]) as home:
        facts = harness.machine(home)
        builds = given.trials // 3
        possible = [fault for fault in LOAD_PLAN if fault not in skipped]
        run(Loads(home).trial, possible, LOAD_MARKS, given.trials - builds)
        own = {*harness.OWN, "DAGSTER_POSTGRES_URL", "LANDING", "CONFIRM_URL", "OPEN311_URL", "OUTBOX"}
        unset = own | {name for name in os.environ if name.startswith("DBT_")}
        try:
            if builds:
                run(Builds(home, os.environ | dict.fromkeys(unset, "")).trial, BUILD_PLAN, BUILD_MARKS, builds)
        finally:
            systems.stop(home)
    notes = [f"Seed {given.seed}. {NOTE}", *(f"Left out: {fault}: {why}." for fault, why in skipped.items())]
    tables = {"By fault": summary(outcomes), "Every trial": [asdict(outcome) for outcome in outcomes]}
    title = "Runs that are cut off, and what the next one makes of it"
    harness.save("faults", harness.RESULTS, facts, title, tables, notes)
    sys.exit(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    main()
