"""Kill loads and builds at random moments, and check that the next undisturbed run puts everything right.

`python -m benchmarks.faults [--trials N] [--seed S]` writes results/faults.md and .json. There are two kinds of trial,
each of which first changes a source: `Loads` on a small system with one table per load mode, `Builds` on the demo
county with readers. A seed gives each trial's moment: the n-th mark that the victim prints, and a delay after the mark.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import cycle, islice
from statistics import median

import psycopg2

from benchmarks.build_faults import BUILD_MARKS, Builds
from benchmarks.load_faults import LOAD_FAULTS, LOAD_MARKS, SYSTEM, Loads, obstacle
from benchmarks.trials import Outcome
from ingestion.contracts import SourceError

KILLED = "load killed"
LOAD_PLAN = [
    *(KILLED, "server killed in a load", KILLED, "two loads at once", KILLED, "working folder lost in a load"),
    *(KILLED, "server stopped at once in a load", KILLED, "working folder full", KILLED, "database full"),
    *(KILLED, "working folder lost after a killed load", KILLED, "server killed in a load", "clock a year ahead"),
]
BUILD_PLAN = [
    *("build killed", "run killed, its dbt left", "build killed", "reader idle in a transaction", "build killed"),
    *("second builder", "build killed", "disk full in a build", "build killed", "server killed in a build"),
    *("build killed", "server stopped at once in a build"),
]
NOTE = (
    "Each trial changes a source, lets a run meet the fault at a moment drawn from its seed, and compares after the "
    "next undisturbed run: raw tables with the source, row by row and version by version; marts with those of "
    "undisturbed builds. `after` is the state before that run: all old or all new."
)


def plan(faults: list[str], marks: tuple[str, ...], trials: int) -> Iterator[tuple[str, str]]:
    """(fault, mark) of each trial: the faults in turn, and for each fault the marks in turn."""
    turns: dict[str, Iterator[str]] = {}
    for fault in islice(cycle(faults), trials):
        yield fault, next(turns.setdefault(fault, cycle(marks)))


def attempt(trial: Callable[[str, str, str], Outcome], fault: str, mark: str, seed: str) -> Outcome:
    """Run a trial and print its outcome; a trial that cannot be completed has failed."""
    try:
        outcome = trial(fault, mark, seed)
    except (SourceError, RuntimeError, OSError, psycopg2.Error) as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        outcome = Outcome(fault, seed, mark, True, "", "?", problems=[f"{type(error).__name__}: {first_line}"])
    print(json.dumps(asdict(outcome)), flush=True)
    return outcome


def summary(outcomes: list[Outcome]) -> list[dict]:
    """One row per fault, and one for all."""
    groups = {name: [o for o in outcomes if o.fault == name] for name in dict.fromkeys(o.fault for o in outcomes)}
    return [
        {
            "fault": name,
            "trials": len(group),
            "met an active run": sum(o.hit for o in group),
            "recovered": sum(not o.problems for o in group),
            "rows lost": sum(o.lost for o in group),
            "rows duplicated": sum(o.duplicated for o in group),
            "readers' answers": sum(o.reads for o in group),
            "reader errors": sum(o.reader_errors for o in group),
            "mixed reads": sum(o.mixed_reads for o in group),
            "seconds per trial": median(o.seconds for o in group),
        }
        for name, group in (groups | {"all": outcomes}).items()
    ]


def main() -> None:
    """Two thirds of the trials are loads; exit status 1 if the next run did not recover from a fault."""
    from benchmarks import harness
    from demo import systems

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=72)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    skipped = {fault: why for fault in LOAD_FAULTS if (why := obstacle(fault))}
    outcomes: list[Outcome] = []

    def run(trial: Callable, faults: list[str], marks: tuple[str, ...], trials: int) -> None:
        for fault, mark in plan(faults, marks, trials):
            outcome = attempt(trial, fault, mark, f"{given.seed}-{len(outcomes) + 1}")
            outcome.message = outcome.message.replace(str(home), "$WAREHOUSE_HOME")
            outcomes.append(outcome)

    with harness.warehouse([SYSTEM]) as home:
        facts = harness.machine(home)
        builds = given.trials // 3
        possible = [fault for fault in LOAD_PLAN if fault not in skipped]
        run(Loads(home).trial, possible, LOAD_MARKS, given.trials - builds)
        own = {*harness.USER_VARIABLES, "DAGSTER_POSTGRES_URL", "OUTBOX", *harness.locations()}
        unset = own | {name for name in os.environ if name.startswith("DBT_")}
        try:
            if builds:
                run(Builds(home, os.environ | dict.fromkeys(unset, "")).trial, BUILD_PLAN, BUILD_MARKS, builds)
        finally:
            systems.stop(home)
    notes = [f"Seed {given.seed}. {NOTE}", *(f"Skipped: {fault}: {why}." for fault, why in skipped.items())]
    tables = {"By fault": summary(outcomes), "Every trial": [asdict(outcome) for outcome in outcomes]}
    title = "Recovery from killed runs and failed servers"
    harness.save("faults", harness.RESULTS, facts, title, tables, notes)
    sys.exit(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    main()
