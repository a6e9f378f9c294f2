"""Load raw extracts of the council's systems into Postgres with dlt. Imports neither Dagster nor dbt."""
