"""Runs and watches the asset graph with Dagster: loads, models, tests, publication, feeds."""
