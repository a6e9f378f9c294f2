"""Runs Dagster's jobs in this process, for the commands."""

import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import redirect_stderr, redirect_stdout
from uuid import uuid4

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from ingestion.contracts import read_contracts
from orchestration.alerts import run_cycle
from orchestration.definitions import defs, feeds, manifest, models
from orchestration.models import POOL
from warehouse.environment import home

REBUILD = ["match_people", "build_models", "write_feeds"]


def run_jobs(jobs: list[str]) -> tuple[list[str], dict[tuple[str, ...], int], dict[str, int]]:
    """Runs jobs and shows their progress; returns (failures, {raw table: rows written}, {file: rows})."""
    loads = {f"load_{name}": (f"load {name}", len(system.tables)) for name, system in read_contracts().items()}
    parts = [("match people", 1), ("build, test, publish", len(models.keys)), ("write feeds", len(feeds))]
    known = loads | dict(zip(REBUILD, parts, strict=True))
    problems: list[str] = []
    rows: dict[tuple[str, ...], int] = {}
    files: dict[str, int] = {}
    log = (home() / "run.log").open("w", encoding="utf-8")
    with (
        dg.DagsterInstance.get() as instance,
        _progress() as progress,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        instance.optimize_for_webserver(**POOL)
        for job in jobs:
            title, total = known[job]
            result = _execute(
                instance, defs.resolve_job_def(job), progress.add_task(title, total=total, note=""), progress
            )
            for event in result.all_events:
                if event.is_step_failure:
                    problems.append(_reason(event))
                elif event.is_step_materialization:
                    made = event.step_materialization_data.materialization
                    values = {name: value.value for name, value in made.metadata.items()}
                    if isinstance(count := values.get("rows_written"), int):
                        rows[tuple(made.asset_key.path)] = count
                    elif isinstance(count := values.get("rows"), int):
                        files[str(values["file"])] = count
        run_cycle(instance, manifest)
    return problems, rows, files


def _progress() -> Progress:
    title, note = TextColumn("{task.description:<22}"), TextColumn("{task.fields[note]}")
    columns = (SpinnerColumn(), title, BarColumn(24), note, TimeElapsedColumn())
    return Progress(*columns, console=Console(file=sys.stdout), refresh_per_second=2)


def _execute(
    instance: dg.DagsterInstance, job: dg.JobDefinition, task: TaskID, progress: Progress
) -> dg.ExecuteInProcessResult:
    """Runs a job in this process; its progress is the number of materialised assets."""
    run_id = str(uuid4())
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(
            job.execute_in_process,
            run_config=quiet,
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags={"dagster/max_retries": "0"},  # the person who ran the command decides
        )
        while not work.done():
            wait([work], timeout=0.5)
            progress.update(task, completed=instance.get_run_stats(run_id).materializations)
        result = work.result()
    progress.update(task, completed=progress.tasks[task].total, note="" if result.success else "[red]failed")
    return result


def _reason(event: dg.DagsterEvent) -> str:
    """The message of a failed step."""
    failure = event.step_failure_data
    description = failure.user_failure_data and failure.user_failure_data.description
    return description or (failure.error.message.strip().splitlines()[0] if failure.error else "failed")
