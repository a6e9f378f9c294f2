"""Loads raw extracts of the council's systems into Postgres with dlt. Knows nothing of Dagster or dbt."""
