"""Load 1,000 changed rows into tables of 20,000, 200,000 and 2,000,000 rows: does the cost grow with the table?

`python -m benchmarks.incremental --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from benchmarks import harness, peers, rows
from benchmarks.harness import Run, database
from ingestion.contracts import System
from warehouse import environment

CHANGED = 1_000
OURS = "this warehouse"
SYSTEMS = {"merge": "raw_benchmerge", "history": "raw_benchhistory"}
CURRENT = {"merge": "{}", "history": "(select * from {} where valid_to is null) as current"}  # current rows
DLT = {"delete-insert": "{}", "upsert": "{}", "scd2": "(select * from {} where _dlt_valid_to is null) as current"}


@dataclass
class Case:
    """A way of loading changes into a table of one size, and the results of its runs."""

    way: str
    size: int
    run: Callable[[], Run]
    current: str
    first: Run | None = None
    runs: list[Run] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """The seconds of each load of changes."""
        return [run.seconds for run in self.runs if not run.failure]


def main() -> None:
    """Load each table, then change and load again; exit status 1 if this warehouse differs from the source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=2_000_000, help="of the largest table; the others are a 10th, a 100th"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--timeout", type=int, default=900, help="seconds after which a run is stopped and counts as failed"
    )
    parser.add_argument("--only", default="", help="run only the cases with this in their name")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for incremental.md and .json")
    options = parser.parse_args()
    sizes = [options.rows // 100, options.rows // 10, options.rows]
    tools = environment.home() / "benchmarks"
    with ExitStack() as stack:
        folder = stack.enter_context(harness.warehouse(SYSTEMS.values()))
        facts = harness.machine(folder)
        with database("bench_source") as connection:
            for size in sizes:
                rows.fill(connection, _table(size), size)
        with database("warehouse") as connection, connection, connection.cursor() as cursor:
            cursor.execute(f"create schema {peers.SCHEMA}")
        (folder / "peers").mkdir()
        cases = [case for case in _cases(folder, tools, sizes, options.timeout) if options.only in case.way]
        expected = {size: _fingerprint(size) for size in sizes}
        for case in cases:
            case.first = _run(case, "first load", expected[case.size])
        for repeat in range(1, options.repeats + 1):
            for size in sizes:
                changed = f"{_change(size, repeat):,} changed rows"
                expected[size] = _fingerprint(size)
                for case in cases:
                    if case.size == size and not case.differences:
                        case.runs.append(_run(case, changed, expected[size]))
        _save(cases, sizes, facts, options)
    if any(case.differences for case in cases if case.way.startswith(OURS)):
        sys.exit("this warehouse differs from the source; see above")


def _table(size: int) -> str:
    return f"payments_{size}"


def _cases(folder: Path, tools: Path, sizes: list[int], timeout: int) -> list[Case]:
    source = harness.database_url("bench_source")
    os.environ["BENCH_SOURCE"] = source.replace("postgresql:", "postgresql+psycopg2:")
    cases = []
    for mode, system in SYSTEMS.items():
        declared = {"load": mode, "key": ["row_id"], "cursor": "updated_at"}
        contract = rows.contract(system, "database", "BENCH_SOURCE", map(_table, sizes), **declared)
        try:
            System.model_validate(contract)
        except ValidationError as error:
            print(f"load: {mode}: skipped, the contract is refused: {error.errors()[0]['msg']}")
            continue
        for size in sizes:
            run = partial(harness.load, contract, [_table(size)], timeout)
            cases.append(Case(f"{OURS}, {mode}", size, run, CURRENT[mode].format(f"{system}.{_table(size)}")))
    others = peers.Peers(tools, folder / "peers", ("dlt",))
    for strategy, current in DLT.items() if others.python else ():
        for size in sizes:
            table = f"{strategy.replace('-', '_')}_{size}"
            run = partial(others.dlt, source, _table(size), table, timeout, strategy)
            name = f"dlt {peers.VERSIONS['dlt']}, {strategy}"
            cases.append(Case(name, size, run, current.format(f"{peers.SCHEMA}.{table}")))
    return cases


def _change(size: int, repeat: int) -> int:
    """Change rows all over the source's table, other rows each time; return their number."""
    stride = size // min(CHANGED, size // 10)
    with database("bench_source") as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            f"update {_table(size)} set status = 'reopened', amount = amount + 1, token = md5(token || %s), "
            "note = 'Changed, ' || coalesce(note, ''), "
            "updated_at = timestamptz '2025-01-01Z' + %s * interval '1 day' + row_id * interval '1 microsecond' "
            "where row_id %% %s = %s",
            [repeat, repeat, stride, repeat % stride],
        )
        return cursor.rowcount


def _fingerprint(size: int) -> tuple[int, int]:
    with database("bench_source") as connection:
        return rows.fingerprint(connection, _table(size))


def _run(case: Case, what: str, expected: tuple[int, int]) -> Run:
    """Run one load, then compare the warehouse with the source row by row."""
    with database("warehouse") as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("checkpoint")
    run = case.run()
    print(f"{case.way}, {case.size:,}: {what}: {run.failure or f'{run.seconds:.2f} s'}", flush=True)
    if run.failure:
        case.differences = [run.failure]
        return run
    with database("warehouse") as connection:
        if rows.fingerprint(connection, case.current) != expected:
            number = rows.count(connection, case.current)
            found = f"{number:,} rows of {case.size:,}" if number != case.size else "other values"
            case.differences = [f"{found} after: {what}"]
    return run


def _save(cases: list[Case], sizes: list[int], facts: dict, options: argparse.Namespace) -> None:
    seconds, details = [], []
    for way in dict.fromkeys(case.way for case in cases):
        own = {case.size: case for case in cases if case.way == way}
        medians = [median(own[size].seconds) if own[size].seconds else None for size in sizes]
        growth = medians[-1] / medians[0] if medians[0] and medians[-1] else None
        shown = dict(zip([f"{size:,}" for size in sizes], medians, strict=True))
        seconds.append({"way": way} | shown | {"largest : smallest": growth})
        details += [
            {
                "way": way,
                "table": case.size,
                "first load": case.first.seconds,
                "each load of changes": case.seconds,
                "whole command": [run.wall for run in case.runs],
                "peak MB": round(max((run.peak_mb for run in case.runs), default=0)),
                "equal to the source": case.differences or "yes",
            }
            for case in own.values()
        ]
    notes = [
        f"Seconds to load {CHANGED:,} changed rows (a tenth of a table of fewer than {10 * CHANGED:,}) into tables of "
        f"these sizes; medians of {options.repeats} loads, other rows each time. Explanation: benchmarks/README.md.",
    ]
    tables = {"Seconds, by the size of the table": seconds, "Each load": details}
    harness.save("incremental", options.out, facts, "Incremental loads", tables, notes)


if __name__ == "__main__":
    main()
