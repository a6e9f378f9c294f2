"""Loads one system in this process: its contract (or the name of one in the project) and tables as JSON on the
input, {"seconds", "rows"} as JSON on the output.

The seconds are those of load_system alone: what is imported before it is not counted.
"""

import json
import sys
import time

from ingestion.contracts import SourceError, System, read_contracts
from ingestion.pipeline import load_system


def main() -> None:
    """One load; ends with the source's own words where it is refused."""
    given = json.load(sys.stdin)
    contract = given["contract"]
    system = read_contracts()[contract] if isinstance(contract, str) else System.model_validate(contract)
    began = time.monotonic()
    try:
        landings = load_system(system, set(given["tables"]) if given["tables"] else None)
    except SourceError as error:
        sys.exit(str(error))
    print(json.dumps({"seconds": time.monotonic() - began, "rows": sum(landing.rows for landing in landings)}))


if __name__ == "__main__":
    main()
