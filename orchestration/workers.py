"""Runs on several machines: each run of Dagster is a Celery task, which a worker on any machine takes.

`warehouse/run_launcher.yaml` names the launcher, and `deploy/systemd/warehouse-worker.service` starts a worker.
"""

import time
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

if TYPE_CHECKING:
    from dagster._core.launcher import CheckRunHealthResult  # noqa: TID251  the type has no public name

ANSWER_SECONDS = 2.0  # each check takes as long; a worker answers within a fraction of a second
# Longer than the 60 seconds after which the server ends the sessions of a machine that stopped, so that the retry finds
# the locks free (warehouse/sql/logins.sql), and than a restart of the broker
PATIENCE_SECONDS = 75.0


class WorkerRunLauncher(CeleryRunLauncher):
    """Dagster's launcher for Celery, which also notices that a worker or its machine has stopped, and cancels runs."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._silent_since: dict[str, float] = {}  # of tasks that no worker executed at the last check

    def check_run_worker_health(self, run: dg.DagsterRun) -> "CheckRunHealthResult":
        """Failed if no worker has executed the run's task for PATIENCE_SECONDS.

        The parent class returns the state that the worker recorded last. After the worker is killed this is "running"
        for ever, and after the broker has lost its data it is unknown.
        """
        recorded, task = super().check_run_worker_health(run), run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        status, now = type(recorded.status), time.monotonic()
        if recorded.status in (status.SUCCESS, status.FAILED):
            return recorded
        answers = self.celery.control.inspect(timeout=ANSWER_SECONDS).query_task(task)  # {worker: {task: state}}
        if any(task in tasks for tasks in (answers or {}).values()):
            self._silent_since.pop(task, None)
        elif now - self._silent_since.setdefault(task, now) > PATIENCE_SECONDS:
            del self._silent_since[task]
            return recorded._replace(status=status.FAILED, msg=f"No worker executes the Celery task {task}.")
        return recorded._replace(status=status.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """Cancel the run, which the parent class would end as a failure that is retried."""
        run = self._instance.get_run_by_id(run_id)
        if not run or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)
