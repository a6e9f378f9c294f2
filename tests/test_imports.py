"""The imports of the console script and of the tests, and the size of modules and classes."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES, CLASS_LINES = 350, 150
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


def test_modules_and_classes_are_short() -> None:
    sizes = {}
    for package in ("commands", "ingestion", "orchestration", "warehouse"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            name = str(path.relative_to(ROOT))
            sizes[name] = len(text.splitlines()), MODULE_LINES
            for part in ast.walk(ast.parse(text)):
                if isinstance(part, ast.ClassDef):
                    sizes[f"{name}: {part.name}"] = (part.end_lineno or 0) - part.lineno + 1, CLASS_LINES
    assert {name: size for name, (size, limit) in sizes.items() if size > limit} == {}
