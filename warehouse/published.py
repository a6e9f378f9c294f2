"""Keeps dbt's manifest of each publish set's builds: a later build compares the project with them.

`published/<set>/<dbt's invocation id>/manifest.json` in the working folder: one for the publication that readers see,
and one for each later build that was refused or interrupted, because such a build has changed conformed tables too.
"""

import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from warehouse.environment import home, publish_sets

UNFINISHED = "unfinished"  # in the place of the invocation id, while a build runs


def keep(manifest: Path, builds: dict[str, str]) -> None:
    """Keeps the manifest of a build for each set in `builds`, {publish set: invocation id}; one copy, linked."""
    folder = home() / "published"
    folder.mkdir(exist_ok=True)
    copy = folder / f"{uuid4()}.json"  # dbt writes its next manifest into the same file
    shutil.copyfile(manifest, copy)
    for name, build in builds.items():
        kept = folder / name / build / "manifest.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        os.link(copy, kept)
    copy.unlink()


def finish(builds: dict[str, str]) -> None:
    """Gives what was kept as unfinished the invocation id of its build."""
    for name, build in builds.items():
        unfinished = home() / "published" / name / UNFINISHED
        if unfinished.exists():
            unfinished.replace(unfinished.with_name(build))


def states(cursor: Any) -> dict[str, list[Path]]:
    """{publish set: folders with a manifest}: what readers see, then the builds since; none where that is not known.

    It is not known before the first build, after an undo, and after a publication by another way (`dbt build`).
    """
    cursor.execute(
        "select distinct on (publish_set) publish_set, invocation_id from governance.publications "
        "where action in ('publish', 'undo') order by publish_set, publication_id desc"
    )
    seen = dict(cursor.fetchall())  # an undo has no invocation id
    return {name: _states(home() / "published" / name, seen.get(name)) for name in publish_sets()}


def last_decision(cursor: Any) -> int:
    """The number of the last publication, refusal or undo; 0 before the first."""
    cursor.execute("select coalesce(max(publication_id), 0) from governance.publications")
    (last,) = cursor.fetchone()
    return int(last)


def decisions_since(cursor: Any, last: int) -> list[dict[str, Any]]:
    """What became of builds of publish sets since a decision, the oldest first."""
    cursor.execute(
        "select publish_set, action, invocation_id, tests_passed, tests_warned, tests_failed, problems, loads::text "
        "from governance.publications where publication_id > %s order by publication_id",
        [last],
    )
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _states(folder: Path, seen: str | None) -> list[Path]:
    published = folder / (seen or "none")
    if not (published / "manifest.json").exists():
        return []
    since = [other for other in folder.iterdir() if other != published]
    for other in [other for other in since if _age(other) < _age(published)]:
        shutil.rmtree(other)
        since.remove(other)
    return [published, *since]


def _age(state: Path) -> int:
    """When the state was kept: the folder's own time, because linked manifests share theirs."""
    return state.stat().st_mtime_ns
