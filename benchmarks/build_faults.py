"""Fault trials of builds of the demo county, while readers read."""

import csv
import io
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import psycopg2

from benchmarks.trials import (
    TIMEOUT,
    Child,
    FaultResult,
    Moment,
    Outcome,
    await_end,
    cursor_on,
    draw,
    last_line,
    print_mark,
    small_disk,
    stop_server,
)
from demo import postgres
from ingestion.contracts import read_contracts
from ingestion.pipeline import load_system
from warehouse.builds import build_lock

STATES = ("A", "B")
QUERIES = {  # {publish set: one statement over two of its marts whose result shows the state of each}
    "finance": "select (select sum(net_amount_gbp) from finance.fct_supplier_payments) + "
    "(select sum(net_amount_gbp) from finance.fct_card_payments), "
    '(select sum("Paid by invoice net GBP" + "Paid by card net GBP") from finance.rpt_monthly_spend_by_supplier)',
    "highways": "select (select min(job_reference) from highways.fct_defects where job_reference like 'STATE %'), "
    "(select min(subject_name) from highways.fct_enquiries where subject_name like 'STATE %')",
}
LOADED_TABLES = {"finance": ("erp", {"ledger_lines"}), "highways": ("confirm", {"defect", "enquiry_subject"})}
CHANGED = {  # the models on the changed raw tables; only these and the models between them and the marts are built
    "finance": ["stg_erp__ledger_lines"],
    "highways": ["stg_confirm__defects", "stg_confirm__enquiry_subjects"],
}
BUILD_MARKS = ("model", "test", "tested", "publish", "commit")
CHANGE_CONFIRM = (
    "update defect set job_reference = 'STATE {0}' where instruction_uid = (select min(instruction_uid) from defect); "
    "update enquiry_subject set subject_name = 'STATE {0}' where subject_code = 'GULL'"
)
EXTRA_FILE = "worcestershire-supplier-spend-extra.zip"


def build_once(publish_set: str) -> None:
    """The victim of a build trial: load what has changed, then build, test and publish one set.

    It prints a mark at the start of each model and test, after all tests, and at the start of the publication and its
    commit. An empty name loads and builds everything.
    """
    from dbt.cli.main import dbtRunner

    contracts, started = read_contracts(), set()

    def listen(event: object) -> None:
        name, data = event.info.name, event.data
        if name not in ("NodeStart", "SQLQuery", "SQLCommit"):
            return
        kind = data.node_info.resource_type
        if name == "NodeStart" and kind in ("model", "test"):
            started.add(kind)
            print_mark(kind)
        elif name == "SQLCommit" and not kind and "test" in started:  # dbt's own commit after the last node
            print_mark("tested")
        elif name == "SQLQuery" and "governance.publish(" in data.sql:
            print_mark("publish")
        elif name == "SQLQuery" and kind == "operation" and data.sql.rstrip().endswith("commit"):
            print_mark("commit")

    print_mark("ready")
    sys.stdin.readline()
    selection = []
    if publish_set:
        system, tables = LOADED_TABLES[publish_set]
        load_system(contracts[system], tables)
        marts = f"path:dbt_project/models/marts/{publish_set}"
        selection = ["--select", " ".join([marts, *(f"{changed}+,+{marts}" for changed in CHANGED[publish_set])])]
    else:
        for declared in contracts.values():
            load_system(declared)
    with build_lock():
        build = dbtRunner(callbacks=[listen]).invoke(["--quiet", "build", *selection])
    if not build.success:
        sys.exit(f"refused: {build.exception or 'dbt: a model, a test or the publication failed'}")
    print_mark("done")


def build_as_child(publish_set: str) -> None:
    """The victim of a trial of a killed run: as Dagster does, leave the build to a child, whose marks it passes on."""
    call = f"builds.end_with_parent(); build_faults.build_once({publish_set!r})"
    command = [sys.executable, "-c", f"from benchmarks import build_faults; from warehouse import builds; {call}"]
    sys.exit(subprocess.run(command, check=False).returncode)


class Readers:
    """Two readers who query the published sets within the block; `outage`: the server is stopped on purpose."""

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
                        cursor.execute(QUERIES[publish_set])
                        answers[publish_set].append(cursor.fetchone())
            except psycopg2.Error as error:
                is_closed = connection is None or connection.closed
                if not (is_closed and self.outage.is_set()):
                    self.errors.append(str(error).strip())
                if is_closed:
                    connection = None
        if connection:
            connection.close()


@dataclass
class Meeting:
    """What a fault meets: a run of a set at a moment, and readers. `kept` is closed after the next run."""

    publish_set: str
    moment: Moment
    reader: str
    readers: Readers
    rng: Random
    kept: ExitStack

    def succeeded(self, message: str) -> str:
        """The message of a run that nothing should have disturbed."""
        if message:
            self.readers.errors.append(f"a run failed: {last_line(message)}")
        return message


class Builds:
    """Build trials on the demo county in `home`; `env` is the environment of its commands.

    Each trial takes one of `sets` from one state, A or B, to the other by a change at source. The expected raw tables
    and marts of each state come from undisturbed builds: with `whole`, of everything.
    """

    def __init__(self, home: Path, env: dict[str, str], sets: tuple[str, ...] = tuple(QUERIES), whole: bool = True):
        self.home, self.env, self.sets = home, env, sets
        self.url = postgres.start(home)
        self.landing = home / "landing" / "finance"
        if whole:
            self.run("")  # creates Confirm and the landing folder
        self.figures: dict[tuple[str, str], dict] = {}
        self.answers: dict[tuple[str, str], tuple] = {}
        self.moments: dict[str, list] = {}
        for state in STATES:
            for publish_set in sets:
                self.change(publish_set, state)
            if whole:
                self.run("")
                self.figures |= {(publish_set, state): self.snapshot(publish_set) for publish_set in sets}
            for publish_set in sets:
                self.moments[publish_set] = self.run(publish_set).moments()
                alone, key = self.snapshot(publish_set), (publish_set, state)
                if alone != self.figures.setdefault(key, alone):
                    raise RuntimeError(f"{publish_set}: a build of the set differs from a build of everything")
                self.answers[key] = self.sql(QUERIES[publish_set])[0]
        self.states = dict.fromkeys(sets, STATES[-1])
        self.sql("drop role if exists fault_reader")
        self.sql("create role fault_reader login password 'fault_reader' in role read_finance, read_highways")

    def close(self) -> None:
        """Drop the trial's role; the sources stay as they are."""
        self.sql("drop role if exists fault_reader")

    def sql(self, query: str, database: str = "warehouse") -> list[tuple]:
        with cursor_on(self.url.rpartition("/")[0] + f"/{database}") as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def child(self, publish_set: str, victim: str = "build_once") -> Child:
        """A run in its own process, in the environment of the console script."""
        command = [sys.executable, "-c", "from commands.main import main; main()", "exec", "--"]
        return Child(f"build_faults.{victim}({publish_set!r})", command, self.env)

    def run(self, publish_set: str) -> Child:
        """An undisturbed run."""
        with self.child(publish_set) as child:
            child.go()
            if message := child.end():
                raise RuntimeError(f"an undisturbed run failed: {message}")
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

    def snapshot(self, publish_set: str) -> dict[str, tuple]:
        """{table: (rows, hash)} of the set's tables and of the raw tables upstream.

        The view `as_at` is left out: it has the time of publication.
        """
        system, _ = LOADED_TABLES[publish_set]
        tables = self.sql(
            "select relnamespace::regnamespace::text, relname from pg_class where relkind in ('r', 'v') "
            f"and relnamespace in ('{publish_set}'::regnamespace, 'raw_{system}'::regnamespace) "
            "and relname <> 'as_at' order by 1, 2"
        )
        return {
            f"{schema}.{table}": self.sql(
                f"select count(*), sum(hashtextextended(to_jsonb(t)::text, 0)) from {schema}.{table} as t"
            )[0]
            for schema, table in tables
        }

    def trial(self, fault: str, mark: str, seed: str) -> Outcome:
        """Change a set's source, let a run meet the fault while readers read, run again and compare."""
        started, rng = time.monotonic(), Random(seed)  # noqa: S311
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
        with Readers(reader, self.sets) as readers, ExitStack() as kept:
            hit, message = BUILD_FAULTS[fault](self, Meeting(publish_set, moment, reader, readers, rng, kept))
            self.settle()
            outcome = Outcome(fault, seed, f"{publish_set}, {moment}", hit, last_line(message))
            names = {self.answers[publish_set, old]: "old", self.answers[publish_set, new]: "new"}
            outcome.after = names.get(self.sql(QUERIES[publish_set])[0], "mixed")
            if (outcome.after == "new") != (self.sql(published) != before):
                outcome.problems.append("readers see another version than the recorded publication")
            if message == "" and outcome.after == "old":
                outcome.problems.append("a run reported success, but readers see the old set")
            self.run(publish_set)
            self.states[publish_set] = new
        self.judge(outcome, readers, publish_set, old)
        outcome.seconds = time.monotonic() - started
        return outcome

    def settle(self) -> None:
        """Wait until the server has noticed the end of a killed run."""
        deadline = time.monotonic() + TIMEOUT
        while self.sql("select from pg_stat_activity where usename in ('svc_dbt', 'svc_loader')"):
            if time.monotonic() > deadline:
                raise RuntimeError("the sessions of a killed run did not end")
            time.sleep(0.02)

    def judge(self, outcome: Outcome, readers: Readers, publish_set: str, old: str) -> None:
        """Compare with undisturbed builds, and check what the readers saw."""
        for other, state in self.states.items():
            found, expected = self.snapshot(other), self.figures[other, state]
            for table in sorted(found.keys() | expected.keys()):
                rows, right = (figures.get(table, (0, None)) for figures in (found, expected))
                if rows != right:
                    outcome.problems.append(f"{table}: {rows[0]} rows, {right[0]} after an undisturbed build")
                    outcome.lost += max(right[0] - rows[0], 0)
                    outcome.duplicated += max(rows[0] - right[0], 0)
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
            outcome.problems.append(f"{outcome.mixed_reads} answers that match no published set")

    # --- faults

    def kill(self, meeting: Meeting) -> FaultResult:
        with self.child(meeting.publish_set) as victim:
            return victim.go(meeting.moment), None

    def kill_parent(self, meeting: Meeting) -> FaultResult:
        """Kill the process that started the build, as when a Dagster run is killed; the build must end with it."""
        with self.child(meeting.publish_set, "build_as_child") as victim:
            hit = victim.go(meeting.moment)
            builders = psutil.Process(victim.process.pid).children(recursive=True) if hit else []
            victim.process.kill()
            killed = time.monotonic()
            await_end(*builders)
            if time.monotonic() - killed > 1:
                meeting.readers.errors.append("a build outlived the process that started it")
        return hit, None

    def server(self, how: str, meeting: Meeting) -> FaultResult:
        """Stop the server; restart it at once, or after the victim has ended."""
        with self.child(meeting.publish_set) as victim:
            hit = victim.go(meeting.moment)
            meeting.readers.outage.set()
            stop_server(self.home, how)
            if meeting.rng.random() < 0.5:
                postgres.start(self.home)
            message = victim.end()
        if postgres.start(self.home) != self.url:
            raise RuntimeError("the server restarted on another port")
        time.sleep(0.5)  # for readers whose connection is just being refused
        meeting.readers.outage.clear()
        return hit, message

    def idle_reader(self, meeting: Meeting) -> FaultResult:
        """A reader leaves a transaction open until the next run has ended; neither run waits for it."""
        connection = psycopg2.connect(meeting.reader)
        meeting.kept.callback(connection.close)
        connection.cursor().execute(QUERIES[meeting.publish_set])
        with self.child(meeting.publish_set) as victim:
            victim.go()
            return True, meeting.succeeded(victim.end())

    def second_builder(self, meeting: Meeting) -> FaultResult:
        """A second run of the same set begins; it waits for the first, and both succeed."""
        with self.child(meeting.publish_set) as first, self.child(meeting.publish_set) as second:
            second.await_mark("ready")
            hit = first.go(meeting.moment)
            second.go()
            return hit, "; ".join(filter(None, map(meeting.succeeded, (first.end(), second.end()))))

    def disk_full(self, meeting: Meeting) -> FaultResult:
        """Fill the disk of the new tables when their publication begins."""
        with small_disk(self.home, 2**30, "svc_dbt") as disk, self.child(meeting.publish_set) as victim:
            hit = victim.go(meeting.moment)
            filling = disk / "filling"
            with suppress(OSError), filling.open("wb") as file:
                while True:
                    file.write(bytes(2**20))
            message = victim.end()
            filling.unlink()
            return hit, message


BUILD_FAULTS: dict[str, Callable[[Builds, Meeting], FaultResult]] = {
    "build killed": Builds.kill,
    "run killed, its dbt left": Builds.kill_parent,
    "server killed in a build": lambda builds, meeting: builds.server("killed", meeting),
    "server stopped at once in a build": lambda builds, meeting: builds.server("stopped at once", meeting),
    "reader idle in a transaction": Builds.idle_reader,
    "second builder": Builds.second_builder,
    "disk full in a build": Builds.disk_full,
}
