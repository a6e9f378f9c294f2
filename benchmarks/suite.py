"""Waiting times of an engineer: the suite, its unit tests, the checks, a connection's URL, previews of edited models.

`python -m benchmarks.suite`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import harness, preview

WAREHOUSE = str(Path(sys.executable).with_name("warehouse"))
COMMANDS = {  # a first `make check` fills its caches
    "make check, the second time": ["make", "check"],
    "make test-unit": ["make", "test-unit"],
    "make test (with make check)": ["make", "test"],
}


def measured(command: list[str]) -> dict[str, float | int]:
    """Wall and CPU seconds of a command with its children, and its exit status."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    status = subprocess.run(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": wall, "CPU seconds": used, "exit status": status}


def main() -> None:
    """Measure, and write suite.md and suite.json; exit status 1 if a command failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for suite.md and suite.json")
    given = parser.parse_args()
    measured(["make", "check"])
    commands = [{"command": name} | measured(command) for name, command in COMMANDS.items()]
    with harness.county(1_000, 1) as (_, home):
        commands.append({"command": "warehouse url"} | measured([WAREHOUSE, "url"]))
        facts, previews = harness.machine(home), preview.medians(home, saves=4)
    found = [{"model": model, "seconds from save to result": seconds} for model, seconds in previews.items()]
    found.append({"model": "median", "seconds from save to result": statistics.median(previews.values())})
    tables = {"Commands": commands, "`warehouse preview --watch`": found}
    harness.save("suite", given.out, facts, "Waiting times of an engineer", tables, [])
    sys.exit(any(row["exit status"] for row in commands))


if __name__ == "__main__":
    main()
