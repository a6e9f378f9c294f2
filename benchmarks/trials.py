"""What trials of faults have in common: a victim that says how far it is, a moment drawn from a seed, an outcome."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import psycopg2

from demo import postgres
from ingestion.contracts import ROOT

PATIENCE = 120  # seconds for a victim to end by itself, or for the next run to be let in
HARD = {"killed": signal.SIGKILL, "stopped at once": signal.SIGQUIT}  # the server; SIGQUIT is its immediate shutdown
BUSY = "is being loaded by another run"


@dataclass
class Outcome:
    """What became of a trial: `hit`: the fault met a run at work; `after`: what was there before the next."""

    fault: str
    seed: str
    moment: str
    hit: bool
    said: str
    after: str = ""
    lost: int = 0
    doubled: int = 0
    reads: int = 0
    reader_errors: int = 0
    mixed_reads: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass
class Moment:
    """When the fault comes: `delay` seconds after the `nth` time that the victim says `mark`."""

    mark: str
    nth: int
    delay: float

    def __str__(self) -> str:
        return f"{self.mark} {self.nth} + {self.delay:.3f} s"


class Child:
    """A function of build_faults or load_faults in a process group of its own; told to go, it prints marks."""

    def __init__(self, call: str, before: list[str] | None = None, env: dict[str, str] | None = None):
        command = [
            *(before or []),
            sys.executable,
            "-c",
            f"from benchmarks import build_faults, load_faults; {call}",
        ]
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed at the end
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.marks: list[tuple[float, str]] = []
        self.news = threading.Condition()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            with self.news:
                self.marks.append((time.monotonic(), line.strip()))
                self.news.notify_all()
        with self.news:
            self.marks.append((time.monotonic(), "ended"))
            self.news.notify_all()

    def await_mark(self, mark: str, nth: int = 1) -> bool:
        """Whether the child says it, rather than end before."""
        with self.news:
            self.news.wait_for(lambda: self.said("ended") or self.said(mark) >= nth, PATIENCE)
        return self.said(mark) >= nth

    def said(self, mark: str) -> int:
        return sum(said == mark for _, said in self.marks)

    def go(self, moment: Moment | None = None) -> bool:
        """Lets it begin; with a moment, waits for that and says whether the child is at work then."""
        self.await_mark("ready")
        with suppress(BrokenPipeError):
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        if moment and self.await_mark(moment.mark, moment.nth):
            time.sleep(moment.delay)
            return self.process.poll() is None
        return False

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> str:
        """What it said when it ended by itself: nothing, or why it failed. One that does not end is killed."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return f"did not end within {PATIENCE} s"
        self.listener.join()
        self.errors.seek(0)
        errors = self.errors.read().decode(errors="replace").strip()
        return "" if not status else errors or f"status {status}"

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.process.wait()
        self.listener.join()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(BrokenPipeError):
                stream.close()

    def moments(self) -> list[tuple[str, int, float]]:
        """(mark, how manieth, seconds until the next) of all that it said between being let go and its end."""
        count: dict[str, int] = {}
        found = []
        for (at, mark), (until, _) in zip(self.marks, self.marks[1:], strict=False):
            count[mark] = count.get(mark, 0) + 1
            if mark not in ("ready", "done"):
                found.append((mark, count[mark], until - at))
        return found


def last_line(said: str | None) -> str:
    return said.splitlines()[-1].strip() if said else ""


def say(mark: str) -> None:
    sys.stdout.write(f"{mark}\n")  # in one piece: several threads speak
    sys.stdout.flush()


def draw(rng: Random, moments: list[tuple[str, int, float]], mark: str) -> Moment:
    """A moment between one of these marks and what usually follows it, or a little later."""
    _, nth, seconds = rng.choice([moment for moment in moments if moment[0] == mark])
    return Moment(mark, nth, rng.random() * 1.1 * seconds)


@contextmanager
def connected(url: str) -> Iterator:
    """A cursor; what it does is committed at the end, and is on the disk even if the server is killed then."""
    connection = psycopg2.connect(url, options="-c synchronous_commit=on")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def hit_server(home: Path, how: str) -> None:
    """Ends the server without warning, and waits until its main process is gone."""
    pid = postgres.status(home)["pid"]
    os.kill(pid, HARD[how])
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


Met = tuple[bool, str | None]  # whether a run was at work, and what it said at its end if it came to one
