"""Interrupted runs that the next run repairs: a few of the trials in benchmarks/faults.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.build_faults import Builds
from benchmarks.load_faults import LOAD_MARKS, Loads, obstacle
from benchmarks.trials import Outcome
from tests.support import Warehouse, bare_environment, environment_of


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[Loads, dict[str, str]]]:
    """A small system, loaded once, on its own server, and the environment of its loads."""
    folder = home / "faults"
    folder.mkdir(mode=0o755)
    with environment_of(bare_environment()):
        loads, variables = Loads(folder, rows=10_000), dict(os.environ)
    yield loads, variables
    Warehouse(folder).remove()


@pytest.fixture
def loads(server: tuple[Loads, dict[str, str]]) -> Iterator[Loads]:
    """The system; this process has its environment during a test."""
    loads, variables = server
    with environment_of(variables):
        yield loads
        variables |= os.environ  # a server that was killed may have another port


def repaired(trial: Callable[[str], Outcome]) -> Outcome:
    """Run a trial until its fault interrupts a run; check each time that the next run removed every effect.

    The moment of a fault is drawn from the times of an undisturbed run, and the machine may be faster now.
    """
    for attempt in range(5):
        outcome = trial(f"test {attempt}")
        assert outcome.problems == [], outcome
        assert outcome.after in ("old", "new"), outcome
        assert not outcome.lost + outcome.duplicated, outcome
        if outcome.hit:
            return outcome
    pytest.fail(f"no fault interrupted a run: {outcome}")


@pytest.mark.parametrize("mark", [*(pytest.param(mark, marks=pytest.mark.long) for mark in LOAD_MARKS[:-1]), "commit"])
def test_a_killed_load_is_repaired_by_the_next_load(loads: Loads, mark: str) -> None:
    """The short form kills the load while it writes to the tables that readers see."""
    repaired(lambda seed: loads.trial("load killed", mark, seed))


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
def test_a_fault_around_a_load_is_repaired_by_the_next_load(loads: Loads, fault: str) -> None:
    if reason := obstacle(fault):
        pytest.skip(reason)
    repaired(lambda seed: loads.trial(fault, "load", seed))


@pytest.mark.long
def test_a_build_killed_before_publication_leaves_the_previous_publication(county: Warehouse) -> None:
    builds = Builds(county.home, county.environment, sets=("finance",), whole=False)
    try:
        outcome = repaired(lambda seed: builds.trial("build killed", "tested", seed))
    finally:
        builds.close()
    assert (outcome.reader_errors, outcome.mixed_reads, outcome.after) == (0, 0, "old")
