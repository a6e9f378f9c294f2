"""A load by dlt with dlt's own settings; runs in an environment without this project.

Given as JSON on the input: `file` (CSV) or `url` and `stream` (a database's table), `to`, `schema`, `table`, `way`,
`folder` (dlt's). `way` is `replace`, or how rows that changed since are merged. Prints {"seconds"}, without imports.
"""

import json
import sys
import time
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv
from dlt.sources.sql_database import sql_table


def main() -> None:
    """One load."""
    given = json.load(sys.stdin)
    began = time.monotonic()
    if given["way"] == "replace":
        if "file" in given:
            file = Path(given["file"])
            resource = filesystem(str(file.parent), file_glob=file.name) | read_csv()
        else:
            resource = sql_table(given["url"], given["stream"])
        disposition, hints = "replace", {}
    else:  # in Arrow tables, so that the first load of all rows is done in minutes
        changed = dlt.sources.incremental("updated_at")
        resource = sql_table(given["url"], given["stream"], backend="pyarrow", incremental=changed)
        disposition, hints = {"disposition": "merge", "strategy": given["way"]}, {"primary_key": "row_id"}
        if given["way"] == "scd2":  # `token` is another in each version of a row; a row that is not read is not gone
            disposition["row_version_column_name"] = "token"
            hints = {"merge_key": "row_id"}
    pipeline = dlt.pipeline(
        given["table"],
        pipelines_dir=given["folder"],
        destination=dlt.destinations.postgres(given["to"]),
        dataset_name=given["schema"],
    )
    pipeline.run(resource.with_name(given["table"]).apply_hints(write_disposition=disposition, **hints))
    print(json.dumps({"seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
