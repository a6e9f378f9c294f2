"""Housekeeping: old runs and working folders go, what Dagster still compares with stays."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("dbt-unit")  # one worker imports Dagster, which takes seconds


def test_old_runs_are_deleted_except_the_last_of_each_asset() -> None:
    import dagster as dg

    from orchestration.housekeeping import RUNS_KEPT, delete_old_runs

    @dg.asset
    def table() -> None:
        """Materialised by each run."""

    now = datetime.now(UTC)
    with dg.instance_for_test() as instance:
        runs = [dg.materialize([table], instance=instance).run_id for _ in range(3)]
        logs = Path(instance.compute_log_manager.get_captured_local_path([runs[0], "compute_logs", "x"], "out")).parent
        logs.mkdir(parents=True, exist_ok=True)
        assert delete_old_runs(instance, now) == 0, "runs of today"
        assert delete_old_runs(instance, now + RUNS_KEPT + timedelta(days=1)) == 2
        assert [run.run_id for run in instance.get_runs()] == runs[-1:]
        assert not logs.exists()
        events = instance.fetch_materializations(dg.AssetKey("table"), limit=10).records
        assert [event.run_id for event in events] == runs[-1:]


def test_old_working_folders_of_dbt_are_deleted(tmp_path: Path) -> None:
    from orchestration.housekeeping import FOLDERS_KEPT, delete_old_folders

    now = datetime.now(UTC)
    for name, age in {"models-old": FOLDERS_KEPT * 2, "models-new": FOLDERS_KEPT / 2, "kept": FOLDERS_KEPT * 2}.items():
        (tmp_path / name / "compiled").mkdir(parents=True)
        written = (now - age).timestamp()
        os.utime(tmp_path / name, (written, written))
    assert delete_old_folders(tmp_path, now) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"models-new", "kept"}


def test_copies_of_delivered_files_are_deleted_after_three_years(tmp_path: Path) -> None:
    from orchestration.housekeeping import DELIVERIES_KEPT, delete_old_deliveries

    now = datetime.now(UTC)
    folders = {
        "finance/delivered/website/old": DELIVERIES_KEPT * 2,
        "finance/delivered/website/new": DELIVERIES_KEPT / 2,
        "finance/powerbi/definition/tables": DELIVERIES_KEPT * 2,
    }
    for name, age in folders.items():
        (tmp_path / name).mkdir(parents=True)
        written = (now - age).timestamp()
        os.utime(tmp_path / name, (written, written))
    assert delete_old_deliveries(tmp_path, now) == 1
    assert [name for name in folders if not (tmp_path / name).exists()] == ["finance/delivered/website/old"]
