"""What the loader uses of other libraries without a promise that it stays; tests/test_dlt.py fails if it changes.

The libraries are imported where they are used: a process that only casts values needs neither dlt nor SQLAlchemy.
"""

import sys
from typing import Any

import pyarrow as pa


class _NoPandas:
    """An import finder that hides pandas, which only person matching needs."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def start_arrow_without_pandas() -> None:
    """Make the first array of the process, which would import pandas: 30 MB and 0.3 s in every load."""
    sys.meta_path.insert(0, _NoPandas)
    pa.array([])
    sys.meta_path.remove(_NoPandas)


def id_of_load_job(path: str) -> str:
    """The id of a file that dlt loads; the same when dlt loads the file again."""
    from dlt.common.storages.load_package import ParsedLoadJobFileName

    return ParsedLoadJobFileName.parse(path).file_id


def marked_table(item: Any, default: str) -> tuple[str, Any]:
    """(table, rows) of an item of a dlt resource, which `dlt.mark.with_table_name` may have marked."""
    from dlt.extract.items import DataItemWithMeta

    return (item.meta.table_name, item.data) if isinstance(item, DataItemWithMeta) else (default, item)


def is_binary(kind: Any) -> bool:
    """Whether a type of SQLAlchemy holds bytes."""
    import sqlalchemy as sa

    return isinstance(kind, sa.LargeBinary | sa.types._Binary)
