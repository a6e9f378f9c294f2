"""Other tools for the same work: sling, ingestr and dlt with its own settings, each in its own virtual environment.

The environments are created once, in a folder that is kept; afterwards no tool needs the network or sends telemetry.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Run, database_url, measure

DLT = importlib.metadata.version("dlt")  # the version that this project uses
PACKAGES = {  # the package `sling` downloads its program from GitHub; this package contains it
    "sling": ["sling-linux-amd64==1.4.11"],
    "ingestr": ["ingestr==0.15.9"],
    "dlt": [
        *(f"dlt[filesystem,postgres,sql-database]=={DLT}", "pandas", "pyarrow", "pymysql", "sqlalchemy<2.1"),
        *("adbc-driver-manager", "adbc-driver-postgresql", "connectorx", "duckdb"),
    ],
}
VERSIONS = {"sling": "1.4.11", "ingestr": "0.15.9", "dlt": DLT}
SCHEMA = "bench"  # the tools' schema in the warehouse's database


class Peers:
    """The tools that can be installed here. `home` keeps their environments, `folder` their files."""

    def __init__(self, home: Path, folder: Path, wanted: tuple[str, ...] = tuple(PACKAGES)) -> None:
        self.folder = folder
        self.python = {tool: python for tool in wanted if (python := _environment(home, tool))}
        self.env = {"HOME": str(folder), "SLING_HOME_DIR": str(folder), "DLT_PROJECT_DIR": str(folder)}
        self.env |= {"SLING_DISABLE_TELEMETRY": "true", "RUNTIME__DLTHUB_TELEMETRY": "false"}
        self.env |= dict.fromkeys(("DISABLE_TELEMETRY", "INGESTR_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "true")

    def sling(self, source: str | Path, stream: str, table: str, timeout: int) -> Run:
        """A full refresh from a database's URL and table, or from a CSV file."""
        (program,) = self.python["sling"].parents[1].glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64")
        program.chmod(0o755)
        env = self.env | {"BENCH_TO": _plain_url(database_url("warehouse"))}
        if isinstance(source, Path):
            arguments = ["--src-stream", f"file://{source}"]
        else:
            env["BENCH_FROM"] = _plain_url(source)
            arguments = ["--src-conn", "BENCH_FROM", "--src-stream", stream]
        to = ["--tgt-conn", "BENCH_TO", "--tgt-object", f"{SCHEMA}.{table}", "--mode", "full-refresh"]
        return measure([str(program), "run", *arguments, *to], env=env, timeout=timeout)

    def ingestr(self, source: str | Path, stream: str, table: str, timeout: int) -> Run:
        """A full refresh from a database's URL and table, or from a CSV file."""
        uri = f"csv://{source}" if isinstance(source, Path) else _plain_url(source)
        env = self.env | {"SOURCE_URI": uri, "DESTINATION_URI": _plain_url(database_url("warehouse"))}
        program = str(self.python["ingestr"].with_name("ingestr"))
        arguments = ["--source-table", stream, "--dest-table", f"{SCHEMA}.{table}", "--yes", "--progress", "log"]
        return measure([program, "ingest", *arguments], env=env, timeout=timeout)

    def dlt(self, source: str | Path, stream: str, table: str, timeout: int, way: str = "replace") -> Run:
        """dlt: `replace` is a full refresh with its defaults, `pyarrow`, `connectorx` and `duckdb` are one by Parquet.

        `delete-insert`, `upsert` and `scd2` merge changes.
        """
        if isinstance(source, Path):
            arguments = {"file": str(source)}
        else:
            scheme, _, rest = source.partition("://")
            plain = f"{scheme.partition('+')[0].replace('mariadb', 'mysql')}://{rest}"  # as connectorx expects it
            arguments = {"url": source, "plain_url": plain, "stream": stream}
        arguments |= {"to": database_url("warehouse"), "schema": SCHEMA, "table": table, "way": way}
        script = str(Path(__file__).with_name("dlt_peer.py"))
        command = [str(self.python["dlt"]), script]
        return measure(command, json.dumps(arguments | {"folder": str(self.folder / "dlt")}), self.env, timeout)


def _plain_url(url: str) -> str:
    """The URL in the form of tools that do not use SQLAlchemy."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.partition("+")[0]
    return f"{scheme}://{rest}" + ("?sslmode=disable" if scheme == "postgresql" else "")


def _environment(home: Path, tool: str) -> Path | None:
    """The tool's Python, or None, with the reason printed, if it cannot be installed."""
    if tool == "sling" and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("sling: skipped, it is measured on Linux x86_64 only")
        return None
    folder = home / f"{tool}-{VERSIONS[tool]}"
    python = folder / "bin" / "python"
    installed, packages = folder / "installed", "\n".join(PACKAGES[tool])
    if not installed.exists() or installed.read_text(encoding="utf-8") != packages:
        shutil.rmtree(folder, ignore_errors=True)
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[tool]],
        ):
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
            if done.returncode:
                print(f"{tool}: skipped, it cannot be installed: {(done.stderr or done.stdout).strip()[-300:]}")
                return None
        installed.write_text(packages, encoding="utf-8")
    return python
