"""Seconds from the save of a model to the printed result of `warehouse preview --watch`, differences included.

Ten models of a built county, from every layer and the largest among them, are edited in a copy of the project: a filter
removes one row in seven. `python -m benchmarks.preview --home FOLDER` measures on an existing county (FOLDER is the
working folder of a running server); without --home it creates one.
"""

import argparse
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks import harness
from ingestion import ROOT

MODELS = (
    "stg_capita__attendances",
    "stg_confirm__enquiries",
    "stg_confirm__sites",
    "int_headcount_months_conformed",
    "int_defects_conformed",
    "int_cases_conformed",
    "dim_postcodes",
    "finance__fct_supplier_payments",
    "education__fct_attendance_weeks",
    "highways__fct_enquiries",
)
PROJECT = ("commands", "dbt_project", "ingestion", "orchestration", "warehouse", "demo", "seeds", ".dlt")
FILES = ("access.yml", "dbt_project.yml", "profiles.yml", "workspace.yaml", "pyproject.toml")
DONE = re.compile(r"── \d\d:\d\d:\d\d, [\d.]+ s")


def copy_project(root: Path) -> None:
    """Copy the files that the console script and dbt read."""
    for folder in PROJECT:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, root)


def edit(text: str) -> str:
    """The model with a condition before its last line that removes one row in seven."""
    body, last = text.rstrip().rsplit("\n", 1)
    return f"{body}\n{last}\nwhere hashtextextended({last.split()[-1]}::text, 0) % 7 <> 0\n"


def seconds_from_save(root: Path, home: Path, model: str, saves: int) -> list[float]:
    """Seconds from each save to the printed result."""
    (file,) = (root / "dbt_project/models").rglob(f"{model}.sql")
    original = file.read_text(encoding="utf-8")
    command = [sys.executable, "-c", "from commands.main import main; main()", "preview", model, "--watch"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "WAREHOUSE_"))}
    env = kept | {"WAREHOUSE_HOME": str(home), "PYTHONPATH": str(root), "COLUMNS": "160"}
    watching = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    measured = []
    try:
        _until_done(watching)
        for number in range(saves):
            time.sleep(0.5)
            started = time.monotonic()
            file.write_text(original if number % 2 else edit(original), encoding="utf-8")
            output = _until_done(watching)
            measured.append(time.monotonic() - started)
            if ("No difference" in output) != bool(number % 2):
                raise SystemExit(f"{model}: the preview does not show the edit:\n{output}")
    finally:
        watching.terminate()
        watching.wait()
        file.write_text(original, encoding="utf-8")
    return measured


def _until_done(watching: subprocess.Popen) -> str:
    output = ""
    while not DONE.search(output):
        if not select.select([watching.stdout], [], [], 120)[0]:
            raise SystemExit(f"no answer within 120 s:\n{output}")
        chunk = os.read(watching.stdout.fileno(), 65536).decode(errors="replace")
        if not chunk:
            raise SystemExit(f"the preview exited:\n{output}")
        output += chunk
    return output


def medians(home: Path, saves: int) -> dict[str, float]:
    """{model: median seconds from save to result} on the county of the working folder `home`, whose server runs."""
    with tempfile.TemporaryDirectory(prefix="warehouse-preview-") as folder:
        root = Path(folder).resolve()
        copy_project(root)
        found = {}
        for model in MODELS:
            measured = seconds_from_save(root, home.resolve(), model, saves)
            found[model] = statistics.median(measured)
            print(
                f"{model:<36} {found[model]:.2f} s  ({', '.join(f'{second:.2f}' for second in measured)})", flush=True
            )
    return found


def main() -> None:
    """Edit each model; print each model's seconds and the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="working folder of a built county whose server runs")
    parser.add_argument("--people", type=int, default=10_000, help="of the county that is created without --home")
    parser.add_argument("--saves", type=int, default=4, help="saves of each model; every second one reverts the edit")
    options = parser.parse_args()
    county = nullcontext((None, options.home)) if options.home else harness.county(options.people, 1)
    with county as (_, home):
        found = medians(home, options.saves).values()
    print(f"median of {len(found)} models: {statistics.median(found):.2f} s, slowest {max(found):.2f} s")


if __name__ == "__main__":
    main()
