"""Loads raw extracts of the council's systems into Postgres with dlt. Knows nothing of Dagster or dbt."""

import sys

import pyarrow as pa


class _NoPandas:
    """Finds no pandas, which is there for the matching alone."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, _NoPandas)
pa.array([])  # the first array asks whether there is pandas, and would import it: 30 MB and 0.3 s in every load
sys.meta_path.remove(_NoPandas)
