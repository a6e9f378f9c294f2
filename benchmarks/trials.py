"""Shared by the fault trials: a victim process that prints marks, a moment drawn from a seed, an outcome."""

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
from ingestion import ROOT

TIMEOUT = 900  # seconds for a victim to end, or for the next run to start, also on a busy machine
SERVER_SIGNALS = {"killed": signal.SIGKILL, "stopped at once": signal.SIGQUIT}  # SIGQUIT is an immediate shutdown
BUSY = "is being loaded by another run"


@dataclass
class Outcome:
    """The result of a trial. `hit`: the fault met a running process; `after`: the state before the next run."""

    fault: str
    seed: str
    moment: str
    hit: bool
    message: str
    after: str = ""
    lost: int = 0
    duplicated: int = 0
    reads: int = 0
    reader_errors: int = 0
    mixed_reads: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass
class Moment:
    """When the fault comes: `delay` seconds after the victim prints `mark` for the `nth` time."""

    mark: str
    nth: int
    delay: float

    def __str__(self) -> str:
        return f"{self.mark} {self.nth} + {self.delay:.3f} s"


class Child:
    """A function of build_faults or load_faults in its own process group; it prints marks once started."""

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
        self.changed = threading.Condition()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            with self.changed:
                self.marks.append((time.monotonic(), line.strip()))
                self.changed.notify_all()
        with self.changed:
            self.marks.append((time.monotonic(), "ended"))
            self.changed.notify_all()

    def await_mark(self, mark: str, nth: int = 1) -> bool:
        """Whether the child prints the mark before it ends."""
        with self.changed:
            self.changed.wait_for(lambda: self.count("ended") or self.count(mark) >= nth, TIMEOUT)
        return self.count(mark) >= nth

    def count(self, mark: str) -> int:
        """How often the child has printed the mark."""
        return sum(printed == mark for _, printed in self.marks)

    def go(self, moment: Moment | None = None) -> bool:
        """Start the child; with a moment, wait for it and return whether the child still runs."""
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
        """Wait for the child's end; return its error message, empty on success. A child that hangs is killed."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"did not end within {TIMEOUT} s"
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
        """(mark, ordinal, seconds to the next mark) of everything that the child printed between start and end."""
        count: dict[str, int] = {}
        found = []
        for (at, mark), (until, _) in zip(self.marks, self.marks[1:], strict=False):
            count[mark] = count.get(mark, 0) + 1
            if mark not in ("ready", "done"):
                found.append((mark, count[mark], until - at))
        return found


def last_line(message: str | None) -> str:
    return message.splitlines()[-1].strip() if message else ""


def print_mark(mark: str) -> None:
    sys.stdout.write(f"{mark}\n")  # in one write, because several threads print
    sys.stdout.flush()


def draw(rng: Random, moments: list[tuple[str, int, float]], mark: str) -> Moment:
    """A moment between one of these marks and the usual time of the next one, or a little later."""
    _, nth, seconds = rng.choice([moment for moment in moments if moment[0] == mark])
    return Moment(mark, nth, rng.random() * 1.1 * seconds)


@contextmanager
def cursor_on(url: str) -> Iterator:
    """A cursor; its work is committed at the end, and is on disk even if the server is killed then."""
    connection = psycopg2.connect(url, options="-c synchronous_commit=on")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def stop_server(home: Path, how: str) -> None:
    """Stop the server by a signal, and wait until its main process has ended."""
    server = psutil.Process(postgres.status(home)["pid"])
    server.send_signal(SERVER_SIGNALS[how])
    await_end(server)


def await_end(*processes: psutil.Process) -> None:
    """Wait until the processes have ended, at most TIMEOUT seconds. Raises RuntimeError."""
    deadline = time.monotonic() + TIMEOUT
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"process {process.pid} did not end")
                time.sleep(0.01)


@contextmanager
def small_disk(home: Path, size: int, *logins: str) -> Iterator[Path]:
    """Within the block, new tables of the logins are on a disk of this size in bytes; afterwards where others are."""
    disk, url = home / "full", postgres.url(home)
    disk.mkdir(exist_ok=True)
    owner = psutil.Process(postgres.status(home)["pid"]).uids().real
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},uid={owner}", "faults", disk], check=True)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"create tablespace faults location '{disk}'")
            cursor.execute(f"grant create on tablespace faults to wh_owner, {', '.join(logins)}")
            for login in logins:
                cursor.execute(f"alter role {login} set default_tablespace = 'faults'")
            try:
                yield disk
            finally:
                for login in logins:
                    cursor.execute(f"alter role {login} reset default_tablespace")
                for kind in ("table", "index"):
                    cursor.execute(f"alter {kind} all in tablespace faults set tablespace pg_default")
                cursor.execute("drop tablespace faults")
    finally:
        connection.close()
        subprocess.run(["umount", disk], check=True)


FaultResult = tuple[bool, str | None]  # (whether a run was active, its message if it ended)
