"""Runs that are cut off, and made good by the next: a few of the trials of benchmarks/faults.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.build_faults import Builds
from benchmarks.load_faults import Loads, obstacle
from benchmarks.trials import Outcome
from tests.support import Warehouse, bare_environment, environment_of


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[Loads, dict[str, str]]]:
    """A small system, loaded once, on a server of its own, and the environment of its loads."""
    folder = home / "faults"
    folder.mkdir(mode=0o755)
    with environment_of(bare_environment()):
        loads, variables = Loads(folder, rows=10_000), dict(os.environ)
    yield loads, variables
    Warehouse(folder).remove()


@pytest.fixture
def loads(server: tuple[Loads, dict[str, str]]) -> Iterator[Loads]:
    """The system; this process is in its environment while a test runs."""
    loads, variables = server
    with environment_of(variables):
        yield loads
        variables |= os.environ  # a server that was killed may have another port


def made_good(outcome: Outcome) -> bool:
    """Whether the fault met a run at work, and nothing of it was left after the next."""
    assert outcome.problems == [], outcome
    return outcome.hit and outcome.after in ("old", "new") and not outcome.lost + outcome.duplicated


@pytest.mark.parametrize("mark", ["extract", "normalize", "load", "commit"])
def test_a_killed_load_is_made_good_by_the_next(loads: Loads, mark: str) -> None:
    assert made_good(loads.trial("load killed", mark, "test"))


@pytest.mark.parametrize(
    "fault",
    [
        "server killed in a load",
        "working folder lost in a load",
        "two loads at once",
        "working folder full",
        "database full",
    ],
)
def test_what_happens_around_a_load_is_made_good_by_the_next(loads: Loads, fault: str) -> None:
    if reason := obstacle(fault):
        pytest.skip(reason)
    assert made_good(loads.trial(fault, "load", "test"))


def test_a_build_killed_before_it_publishes_shows_readers_the_set_before(county: Warehouse) -> None:
    builds = Builds(county.home, county.environment, sets=("finance",), whole=False)
    try:
        outcome = builds.trial("build killed", "tested", "test")
    finally:
        builds.close()
    assert made_good(outcome)
    assert (outcome.reader_errors, outcome.mixed_reads, outcome.after) == (0, 0, "old")
