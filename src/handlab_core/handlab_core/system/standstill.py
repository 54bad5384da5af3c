"""Find the processes of a graph that are stopped.

A stopped process has not ended, so that nothing ends with it. But nobody watches the hand through a
stopped supervisor, and a stopped recorder or learner misses the hand's motion.

The supervisor looks at the processes that it has started. It writes the names of those that stand
still into a memory file, which the processes inherit. Nodes read the file, and look at the
supervisors themselves, too.
"""

import os
import time
from collections.abc import Iterable, Mapping

from handlab_core.system.lifeline import supervisors

VARIABLE = "HANDLAB_STANDSTILL"
"""Environment variable: number of the file descriptor of the memory file."""

SETTLE = 0.3
"""Seconds; a debugger or a profiler stops a process for less when it attaches."""

LOOK_EVERY = 0.1
"""Seconds between the looks of a reader."""

SIZE = 512
"""Bytes of the memory file."""


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal (state T of proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] == b"T"
    except OSError:
        return False


class Settled:
    """Remembers since when processes stand still; time is an argument."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def update(self, stopped: Iterable[str], now: float) -> list[str]:
        """Return those of the stopped processes that have been stopped for SETTLE.

        Args:
            stopped: names of the processes that are stopped.
            now: monotonic time; s.
        """
        self._since = {name: self._since.get(name, now) for name in stopped}
        return sorted(name for name, since in self._since.items() if now - since >= SETTLE)


class StandstillBoard:
    """The supervisor's side: names of the processes that stand still, for these processes."""

    def __init__(self) -> None:
        self.file = os.memfd_create("standstill")
        """File descriptor that the processes inherit under the same number."""
        self._settled, self._written = Settled(), b""

    def environment(self) -> dict[str, str]:
        """Return the variable by which a process finds the board."""
        return {VARIABLE: str(self.file)}

    def look(self, processes: Mapping[str, int]) -> None:
        """Look at processes and write the names of those that stand still.

        Args:
            processes: process ids by name.
        """
        stopped = [f"{name} {pid}" for name, pid in processes.items() if is_stopped(pid)]
        names = ",".join(self._settled.update(stopped, time.monotonic()))
        text = names.encode()[:SIZE].ljust(SIZE, b"\0")
        if text != self._written:
            os.pwrite(self.file, text, 0)
            self._written = text

    def close(self) -> None:
        """Close the memory file."""
        os.close(self.file)


class StandstillReader:
    """A node's side: names of the processes of its graph that stand still, its supervisors too.

    Args:
        environment: of this process; without a board the supervisors alone are watched.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._above = {f"process {pid}, which started the graph": pid
                       for pid in supervisors(environment)}  # fmt: skip
        board = environment.get(VARIABLE, "")
        self._board = int(board) if board.isdecimal() else None
        self._settled, self._next = Settled(), 0.0
        self._names: list[str] = []

    def look(self) -> list[str]:
        """Return the names; new ones every LOOK_EVERY."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LOOK_EVERY
            stopped = [name for name, pid in self._above.items() if is_stopped(pid)]
            above = self._settled.update(stopped, now)
            self._names = above + (self._read() if not stopped else [])
        return self._names

    def _read(self) -> list[str]:
        if self._board is None:
            return []
        try:
            text = os.pread(self._board, SIZE, 0)
        except OSError:  # inherited by a program in between, which closed it
            self._board = None
            return []
        words = [entry.split() for entry in text.rstrip(b"\0").decode().split(",") if entry]
        return [name for name, pid in words if int(pid) != os.getpid()]  # this one has gone on
