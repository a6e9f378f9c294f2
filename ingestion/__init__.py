"""Load raw extracts of the council's systems into Postgres with dlt. Imports neither Dagster nor dbt."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the repository
