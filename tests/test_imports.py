"""The imports of the console script."""

import subprocess
import sys

HEAVY = {
    *("dagster", "dbt", "dlt", "dotenv", "duckdb", "filelock", "metricflow", "numpy", "psutil", "pyarrow", "pydantic"),
    *("rich", "splink", "sqlalchemy", "yaml"),
}


def test_the_console_script_imports_no_heavy_package_before_a_command_needs_it() -> None:
    code = f"import sys, commands.main; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
