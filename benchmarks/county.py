"""The cost of a whole run, from raw extracts to feeds, as the county grows: time per row, memory, disk.

`python -m benchmarks.county --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import database

MEMORY_MB = 8_000  # limit for a whole run


def main() -> None:
    """Run counties of several sizes in turn, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 60_000, 600_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for county.md and county.json")
    options = parser.parse_args()
    table, facts = [], {}
    for people in options.people:
        with harness.county(people, options.seed) as (run, folder), database("warehouse") as connection:
            facts = facts or harness.machine(folder)
            with connection.cursor() as cursor:
                cursor.execute("select sum(rows_written)::bigint from governance.load_audit")
                rows = cursor.fetchone()[0]
                cursor.execute("select pg_database_size(current_database())")
                size = cursor.fetchone()[0]
        table.append(
            {
                "people": people,
                "rows loaded": rows,
                "seconds": round(run.wall),
                "µs a row": 1e6 * run.wall / rows,
                "x the size before": 1e6 * run.wall / rows / table[-1]["µs a row"] if table else "",
                "peak MB": round(run.peak_mb),
                "database GB": size / 1e9,
            }
        )
        print(table[-1])
    notes = [
        "seconds: `warehouse run`, with the creation of the county, after installation. peak MB: resident memory of "
        f"the program, its children and the servers, shared memory counted once (limit {MEMORY_MB:,})."
    ]
    harness.save("county", options.out, facts, "A whole run as the county grows", {"Runs": table}, notes)


if __name__ == "__main__":
    main()
