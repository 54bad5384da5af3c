"""Processes of a verb that is struck: start it, find its nodes, wait until they are gone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from handlab_core.errors import StationTimeout
from handlab_core.system.lifeline import supervised

SUPERVISOR = "supervisor"
SIGNALS = ("SIGHUP", "SIGTERM", "SIGKILL", "SIGSTOP")

LIMIT = 2.0
"""Seconds for the hand to be let go and for all processes to be gone."""
START = 120.0
"""Seconds for a graph to start, on a busy machine too."""
HEARS_HANGUP = ("env", "--default-signal=HUP")
"""Beginning of a command that ends at SIGHUP, which programs under nohup(1) ignore."""
SAID = "said"
"""File of a verb's output."""
LAST = 300
"""Characters shown of a verb's output."""


@dataclass
class Case:
    """Outcome of one cell of the matrix."""

    part: str
    verb: str
    victim: str
    signal: str
    wrong: list[str] = field(default_factory=list)
    let_go_s: float | None = None
    gone_s: float | None = None

    @property
    def name(self) -> str:
        """Part, verb, victim and signal."""
        return f"{self.part}: {self.verb}: {self.victim} {self.signal}"


class RunningVerb:
    """A verb of the command line that runs.

    Args:
        words: behind the program's name.
        folder: working directory, which holds the verb's output, too.
    """

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.said = folder / SAID
        with self.said.open("a") as said:
            self.process = subprocess.Popen(
                [*HEARS_HANGUP, sys.executable, "-m", "handlab.cli", *words], cwd=folder,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                env=supervised(os.environ),
            )  # fmt: skip

    def tree(self) -> list[psutil.Process]:
        """Return the verb's process and everything it has started."""
        return tree(self.process.pid)

    def find(self, victim: str) -> psutil.Process | None:
        """Return the process of a node, or of the verb itself; None if it does not run."""
        tree = self.tree()
        if victim == SUPERVISOR:
            return tree[0] if tree else None
        marks = {f"__node:={victim}", f"handlab_nodes.runtime.{victim}"}  # a node, the container
        for process in tree[1:]:
            with contextlib.suppress(psutil.Error):
                if marks & set(process.cmdline()):
                    return process
        return None

    def await_ready(self, victim: str) -> psutil.Process:
        """Wait until a node handles signals; return its process."""

        def ready() -> bool:
            found = self.find(victim)
            return found is not None and _handles_end(found.pid)

        self.wait(ready, f"the process {victim}")
        found = self.find(victim)
        assert found is not None
        return found

    def wait(self, done: Callable[[], object], what: str, seconds: float = START) -> None:
        """Wait for something.

        Raises:
            StationTimeout: it does not come in time, or the verb has ended.
        """
        end = time.monotonic() + seconds
        while not done():
            if (code := self.process.poll()) is not None:
                raise StationTimeout(f"the verb ended with code {code}: {self.last_words()}")
            if time.monotonic() > end:
                raise StationTimeout(f"waited {seconds:.0f} s for {what}: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """Return the end of the verb's output."""
        return " ".join(self.said.read_text(errors="replace")[-LAST:].split())


@contextmanager
def running(words: Sequence[str], folder: Path) -> Iterator[RunningVerb]:
    """Run a verb within the context; it is killed at the end, and its nodes end with it."""
    verb = RunningVerb(words, folder)
    try:
        yield verb
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(verb.process.pid).resume()  # a stopped one does not end
        verb.process.kill()
        verb.process.wait()


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and everything it has started; empty: it is gone."""
    try:
        above = psutil.Process(pid)
        return [above, *above.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def living(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return those of some processes that have not ended."""
    return [process for process in processes if _lives(process)]


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes; harmless for those that are gone."""
    for process in processes:
        strike(process, "SIGKILL")


def strike(process: psutil.Process, name: str) -> None:
    """Send a signal to a process; harmless if it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(getattr(signal, name))


def until_gone(processes: list[psutil.Process], began: float, case: Case) -> float:
    """Wait until all processes are gone; return how long that took [s]."""
    while living(processes) and time.monotonic() < began + LIMIT:
        time.sleep(0.01)
    if late := [_words(process) for process in living(processes)]:
        case.wrong.append(f"not gone after {LIMIT:g} s: {', '.join(late)}")
    while living(processes) and time.monotonic() < began + 2 * LIMIT:
        time.sleep(0.01)
    took = time.monotonic() - began
    kill(living(processes))
    return took


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()[1:5])
    return "one that is just gone"


def _handles_end(pid: int) -> bool:
    """Return whether a process handles SIGTERM by itself (SigCgt of proc_pid_status(5))."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = status.partition("SigCgt:")[2].split()[:1]
    return bool(mask) and bool(int(mask[0], 16) >> (signal.SIGTERM - 1) & 1)
