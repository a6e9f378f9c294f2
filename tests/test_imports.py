"""The imports of the console script and of the tests."""

import re
import subprocess
import sys
from pathlib import Path

HEAVY = {
    *("dagster", "dbt", "dlt", "dotenv", "duckdb", "filelock", "metricflow", "numpy", "psutil", "pyarrow", "pydantic"),
    *("rich", "splink", "sqlalchemy", "yaml"),
}


def test_the_console_script_imports_no_heavy_package_before_a_command_needs_it() -> None:
    code = f"import sys, commands.main; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_tests_do_not_import_each_other() -> None:
    importing = re.compile(r"^\s*(?:from|import) tests\.test_", re.M)
    files = Path(__file__).parent.glob("test_*.py")
    assert [file.name for file in files if importing.search(file.read_text(encoding="utf-8"))] == []
