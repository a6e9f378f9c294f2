"""The cost of Dagster: a whole graph by Dagster, beside the same dlt loads, matching and dbt build without it.

`python -m benchmarks.overhead --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import psycopg2

from benchmarks import harness
from ingestion.contracts import read_contracts
from warehouse import environment

AIM = 1.25  # times the work without Dagster, at most


def main() -> None:
    """Run both ways in turn, round after round, and write the medians; exit status 1 above the aim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for overhead.md and overhead.json")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # run one way in this process
    options = parser.parse_args()
    if options.way:
        environment.prepare()
        started = time.monotonic()
        WAYS[options.way]()
        print(json.dumps({"seconds": time.monotonic() - started}))
        return
    runs: dict[str, list[harness.Run]] = {way: [] for way in WAYS}
    with harness.county(options.people, 1) as (_, folder):
        facts = harness.machine(folder)
        for _ in range(options.rounds):
            for way, done in runs.items():
                harness.forget_loads()
                words = [sys.executable, "-m", "benchmarks.overhead", "--way", way]
                done.append(harness.measure(words, env={"WAREHOUSE_URL": ""}, timeout=3600))
                if done[-1].failure:
                    sys.exit(f"{way}: {done[-1].failure}")
    plain = median(run.seconds for run in runs["without Dagster"])
    table = [
        {
            "way": way,
            "seconds": median(run.seconds for run in done),
            "processor seconds": median(run.processor for run in done),
            "x without Dagster": median(run.seconds for run in done) / plain,
        }
        for way, done in runs.items()
    ]
    notes = [f"{options.people:,} people; medians of {options.rounds} runs. Explanation: benchmarks/README.md."]
    harness.save("overhead", options.out, facts, "The cost of Dagster", {"Whole graph": table}, notes)
    if max(row["x without Dagster"] for row in table) > AIM:
        sys.exit(f"Dagster costs more than {AIM} times the work without it")


def by_dagster() -> None:
    """Load every system, match people, build, test and publish every set, as `make run` does."""
    from orchestration.run import run_jobs

    problems, _, _ = run_jobs([*(f"load_{name}" for name in read_contracts()), "match_people", "build_models"])
    if problems:
        sys.exit("; ".join(" ".join(problem.split()) for problem in problems))  # in one line, which `measure` reports


def by_hand() -> None:
    """The same without Dagster: loads and matching in this process, and dbt with the build lock in its own."""
    from ingestion.pipeline import load_system
    from warehouse.matching import match

    systems = read_contracts()
    for system in systems.values():
        load_system(system)
    with closing(psycopg2.connect(os.environ["VAULT_URL"])) as connection:
        match(connection, list(systems.values()))
    build = harness.measure([sys.executable, "-m", "warehouse.builds", *BUILD], timeout=3600)
    if build.failure:
        sys.exit(build.failure)


BUILD = ("build", "--exclude-resource-type", "unit_test")
WAYS: dict[str, Callable[[], None]] = {"by Dagster": by_dagster, "without Dagster": by_hand}

if __name__ == "__main__":
    main()
