"""Keeps dbt's manifests of the builds of each publish set, with which `warehouse build --changed` compares the project.

`published/<set>/<dbt's invocation id>/manifest.json` in the working folder: one of the current publication, and one of
each later build that was refused or interrupted, because such a build has also changed conformed tables.
"""

import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from ingestion.postgres import names_in
from warehouse.environment import home, publish_sets

OUTCOME = (
    "publication_id, publish_set, action, invocation_id, tests_passed, tests_warned, tests_failed, problems, "
    "loads::text, build_id, had_lock from governance.publications"
)
UNFINISHED = "unfinished"  # instead of the invocation id while a build runs


def keep(manifest: Path, builds: dict[str, str]) -> None:
    """Keeps the manifest of a build for each set in `builds`, {publish set: invocation id}."""
    if not builds:
        return
    folder = home() / "published"
    folder.mkdir(exist_ok=True)
    copy = folder / f"{uuid4()}.json"  # dbt overwrites the file; the sets share one copy by hard links
    shutil.copyfile(manifest, copy)
    for name, build in builds.items():
        target = kept(name, build)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(copy, target)
    copy.unlink()


def kept(name: str, build: str | None) -> Path:
    """The kept manifest of a build of a set by its invocation id; the file does not exist if none was kept."""
    return home() / "published" / name / (build or "none") / "manifest.json"


def finish(builds: dict[str, str]) -> None:
    """Names the unfinished manifests of `builds` by the invocation ids."""
    for name, build in builds.items():
        unfinished = home() / "published" / name / UNFINISHED
        if unfinished.exists():
            unfinished.replace(unfinished.with_name(build))


def states(cursor: Any) -> dict[str, list[Path]]:
    """{publish set: folders with a manifest}: the current publication, then later builds.

    A set has no folder before its first build, after a roll-back, and after a publication by dbt alone (`dbt build`).
    """
    cursor.execute(
        "select distinct on (publish_set) publish_set, invocation_id from governance.publications "
        "where action in ('publish', 'roll_back') order by publish_set, publication_id desc"
    )
    current = dict(cursor.fetchall())  # a roll-back has no invocation id
    return {name: _states(home() / "published" / name, current.get(name)) for name in publish_sets()}


def last_outcome(cursor: Any) -> int:
    """The id of the last publication, refusal or roll-back; 0 before the first."""
    cursor.execute("select coalesce(max(publication_id), 0) from governance.publications")
    (last,) = cursor.fetchone()
    return int(last)


def outcomes_since(cursor: Any, last: int) -> list[dict[str, Any]]:
    """Publications, roll backs and refusals of publish sets after the outcome `last`, the oldest first."""
    return _outcomes(cursor, f"select {OUTCOME} where publication_id > {last:d} order by publication_id")


def current(cursor: Any) -> list[dict[str, Any]]:
    """The last publication or roll back of each publish set."""
    last = "where action <> 'refuse' order by publish_set, publication_id desc"
    return _outcomes(cursor, f"select distinct on (publish_set) {OUTCOME} {last}")


def _outcomes(cursor: Any, query: str) -> list[dict[str, Any]]:
    cursor.execute(query)
    names = names_in(cursor)
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _states(folder: Path, current: str | None) -> list[Path]:
    published = folder / (current or "none")
    if not (published / "manifest.json").exists():
        return []
    since = [other for other in folder.iterdir() if other != published]
    for other in [other for other in since if _age(other) < _age(published)]:
        shutil.rmtree(other)
        since.remove(other)
    return [published, *since]


def _age(state: Path) -> int:
    """Time of the folder; the linked manifests share one time."""
    return state.stat().st_mtime_ns
