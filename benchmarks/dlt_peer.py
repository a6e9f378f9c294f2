"""A load by dlt with its own settings, in an environment without this project.

The input is JSON: `file` (CSV) or `url` and `stream` (a database's table), `to`, `schema`, `table`, `way`, `folder`
(dlt's working folder). `way` is `replace` with dlt's defaults, a full refresh that passes Arrow tables to Parquet files
(`pyarrow`, `connectorx`, for a CSV `duckdb`), or a merge strategy. Prints {"seconds"}, without imports.
"""

import json
import sys
import time
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv, read_csv_duckdb
from dlt.sources.sql_database import sql_table

IN_ARROW = ("pyarrow", "connectorx", "duckdb")
CHUNK_ROWS = 100_000


def main() -> None:
    """Load once."""
    given = json.load(sys.stdin)
    started = time.monotonic()
    file_format = "parquet" if given["way"] in IN_ARROW else None
    if given["way"] in IN_ARROW:
        if "file" in given:
            file = Path(given["file"])
            rows = filesystem(str(file.parent), file_glob=file.name)
            resource = rows | read_csv_duckdb(chunk_size=CHUNK_ROWS, use_pyarrow=True)
        else:
            level = "full" if given["url"].startswith("postgresql") else "minimal"  # or MariaDB cannot be loaded
            plain = {"conn": given["plain_url"]} if given["way"] == "connectorx" else {}
            resource = sql_table(
                given["url"],
                given["stream"],
                backend=given["way"],
                chunk_size=CHUNK_ROWS,
                backend_kwargs=plain,
                reflection_level=level,
            )
        disposition, hints = "replace", {}
    elif given["way"] == "replace":
        if "file" in given:
            file = Path(given["file"])
            resource = filesystem(str(file.parent), file_glob=file.name) | read_csv()
        else:
            resource = sql_table(given["url"], given["stream"])
        disposition, hints = "replace", {}
    else:  # with Arrow tables the first load of all rows takes minutes only
        changed = dlt.sources.incremental("updated_at")
        resource = sql_table(given["url"], given["stream"], backend="pyarrow", incremental=changed)
        disposition, hints = {"disposition": "merge", "strategy": given["way"]}, {"primary_key": "row_id"}
        if given["way"] == "scd2":  # `token` differs in each version of a row; a row that is not read is not deleted
            disposition["row_version_column_name"] = "token"
            hints = {"merge_key": "row_id"}
    pipeline = dlt.pipeline(
        given["table"],
        pipelines_dir=given["folder"],
        destination=dlt.destinations.postgres(given["to"]),
        dataset_name=given["schema"],
    )
    resource = resource.with_name(given["table"]).apply_hints(write_disposition=disposition, **hints)
    pipeline.run(resource, loader_file_format=file_format)
    print(json.dumps({"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
