"""Load one system in this process: its contract (or a project system's name) and tables as JSON on the input,
{"seconds", "rows"} as JSON on the output.

The seconds are those of load_system, without imports.
"""

import json
import sys
import time

from ingestion.contracts import SourceError, System, read_contracts
from ingestion.pipeline import load_system


def main() -> None:
    """Load once; on a refusal, exit with its message."""
    given = json.load(sys.stdin)
    contract = given["contract"]
    system = read_contracts()[contract] if isinstance(contract, str) else System.model_validate(contract)
    started = time.monotonic()
    try:
        results = load_system(system, set(given["tables"]) if given["tables"] else None)
    except SourceError as error:
        sys.exit(str(error))
    print(json.dumps({"seconds": time.monotonic() - started, "rows": sum(result.rows for result in results)}))


if __name__ == "__main__":
    main()
