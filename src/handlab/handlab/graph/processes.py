"""Run a graph's nodes as child processes, where `ros2 launch` is not installed.

When one node ends, all are stopped; the user learns which one it was and its last lines. When this
process dies, in whatever way, the nodes end by themselves (`handlab_core.system.lifeline`). While
this process or a node stands still, the driver lets the hand go (`handlab_core.system.standstill`).

Nodes write what they say into memory files of this process, not into pipes: a node never waits for
a reader, even if this process is stopped or its terminal is.
"""

import atexit
import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Self, TextIO

from handlab.graph.config import GraphConfig, NodeSpec, build_graph
from handlab.graph.ros_domain import Domain
from handlab.graph.running_graphs import announced
from handlab_core.system import lifeline
from handlab_core.system.files import writing
from handlab_core.system.lifeline import REFUSED, supervised
from handlab_core.system.standstill import StandstillBoard

KILL_AFTER = 1.0
"""Seconds; a node that has not ended this long after it was asked to is killed."""

LOOK_EVERY = 0.1
"""Seconds between looks at what nodes say and whether they live."""

DRIVER = "driver"
"""Name of the node whose parameters describe the station."""

LAST_LINES = 12
"""Lines shown of a node that died."""

FORGET_ABOVE = 1 << 20
"""Bytes that were read from a node's memory file, above which they are released."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of the nodes, which are many and have small matrices."""


def command(node: NodeSpec) -> list[str]:
    """Return the command line of one node."""
    words = [sys.executable, "-m", lifeline.__name__, node.module]
    words += [*(part.name for part in node.parts), "--ros-args"]
    if not node.parts:  # else the new name would be that of every part
        words += ["-r", f"__node:={node.name}"]
    return words + node.ros_words()


class NodeProcess:
    """One node and its output.

    Args:
        node: to be started.
        environment: of the process.
        kept: file descriptors that stay open in it.
    """

    def __init__(self, node: NodeSpec, environment: dict[str, str], kept: tuple[int, ...]) -> None:
        self.name = node.name
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._said, self._read, self._rest = os.memfd_create(node.name), 0, b""
        self._forgotten = 0
        fcntl.fcntl(self._said, fcntl.F_SETFL, os.O_APPEND)
        self._process = subprocess.Popen(
            command(node),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            pass_fds=kept,
            start_new_session=True,  # a terminal's Ctrl-C, Ctrl-Z and hang-up reach this process
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the node runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; harmless if the node has ended."""
        self._process.send_signal(number)

    def wait(self, until: float) -> bool:
        """Wait until a monotonic time [s]; return whether the node has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, until - time.monotonic()))
        return self._process.returncode is not None

    def new_lines(self) -> list[str]:
        """Return the whole lines that came since the last call; all, once the node has ended."""
        while part := os.pread(self._said, FORGET_ABOVE, self._read):
            self._read += len(part)
            self._rest += part
        if self._read - self._forgotten > FORGET_ABOVE:
            # A hole, and no truncation: a line that is just being written stays.
            _punch_hole(self._said, self._read)
            self._forgotten = self._read
        *whole, self._rest = self._rest.split(b"\n")
        if self._rest and self._process.returncode is not None:
            whole, self._rest = [*whole, self._rest], b""
        lines = [line.decode(errors="replace") for line in whole]
        self.last.extend(lines)
        return lines

    def close(self) -> None:
        """Close the memory file."""
        os.close(self._said)

    def exit_reason(self) -> str:
        """Return in words why the node ended by itself."""
        code = self._process.returncode
        if code == REFUSED and self.last:  # one line for people
            return f"{self.name}: {self.last[-1]}"
        how = (
            f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        lines = [f"  {line}" for line in self.last or ["(it said nothing)"]]
        return "\n".join([f"{self.name} {how}; everything was stopped. Its last lines:", *lines])


def _punch_hole(file: int, end: int) -> None:
    """Release the memory of a file up to a byte; its size stays (fallocate(2))."""
    keep_size, punch_hole = 1, 2
    if _fallocate(file, keep_size | punch_hole, 0, end):
        raise OSError(ctypes.get_errno(), "fallocate")


_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64


class Graph:
    """A running graph, as a context; it ends with it.

    Args:
        nodes: to be started.
        output: where what nodes say goes to, each line behind the name of its node.
        domain: of the graph; the nodes keep it taken until the last of them is gone.
        simulated: whether the graph's time is the world's.
    """

    def __init__(
        self, nodes: list[NodeSpec], output: TextIO, domain: Domain, simulated: bool = False
    ) -> None:
        self.domain, self.simulated = domain.id, simulated
        self.names = [name for node in nodes for name in node.names]
        """Names of all nodes."""
        self._domain, self._output = domain, output
        self._width = max(len(node.name) for node in nodes)
        self._reason: str | None = None
        self._broken_off = ""  # reason of `break_off`
        self._ending, self._processes = threading.Event(), list[NodeProcess]()
        self._end_lock, self._ended = threading.Lock(), False
        self._thread = threading.Thread(target=self._look_after, name="graph", daemon=True)
        drivers = (part for node in nodes for part in (node, *node.parts) if part.name == DRIVER)
        facts = next((driver.parameters for driver in drivers), {})
        self._announcement = announced(domain.id, self.names, facts)
        self._board = StandstillBoard()
        environment = supervised(os.environ) | ONE_THREAD | self._board.environment()
        environment |= {"ROS_DOMAIN_ID": str(domain.id)}
        kept = (*domain.held, self._board.file)
        try:
            for node in nodes:
                self._processes.append(NodeProcess(node, environment, kept))
            # Ctrl-C may come at any moment, also before or after the `with` of the caller.
            atexit.register(self.close)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the graph, which is starting."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the graph and wait until all of it is gone."""
        self.close()

    def close(self) -> None:
        """Stop the graph and wait until all of it is gone; twice is harmless."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._end()
        atexit.unregister(self.close)

    def break_off(self, reason: str) -> None:
        """Ask all nodes to end, at once and from any thread; `exit_reason` returns the reason."""
        self._broken_off = reason
        for process in self._processes:
            process.send(signal.SIGTERM)

    def exit_reason(self) -> str | None:
        """Return why the graph has ended by itself; None while it runs."""
        return self._reason

    def wait(self) -> str:
        """Wait until the graph has ended by itself, and return why."""
        self._thread.join()
        assert self._reason is not None
        return self._reason

    def _look_after(self) -> None:
        while not self._ending.wait(LOOK_EVERY):
            self._pass_on()
            self._board.look({process.name: process.pid for process in self._processes})
            if dead := next((p for p in self._processes if p.poll() is not None), None):
                self._pass_on()
                reason = self._broken_off or dead.exit_reason()
                self._end()
                self._reason = reason
                return
        self._end()

    def _pass_on(self) -> None:
        """Write what the nodes have said to the output."""
        lines = [
            f"{time.strftime('%H:%M:%S')} {process.name:{self._width}} | {line}\n"
            for process in self._processes
            for line in process.new_lines()
        ]
        if lines:
            with contextlib.suppress(OSError, ValueError):  # the terminal or the disk is gone
                self._output.write("".join(lines))
                self._output.flush()

    def _end(self) -> None:
        """Ask all nodes to end, kill those that do not, and let everything go; once."""
        with self._end_lock:
            if not self._ended:
                self._end_all()
                self._ended = True

    def _end_all(self) -> None:
        for process in self._processes:
            process.send(signal.SIGTERM)
        limit = time.monotonic() + KILL_AFTER
        for process in self._processes:
            if not process.wait(limit):
                process.send(signal.SIGKILL)
        for process in self._processes:
            process.wait(time.monotonic() + KILL_AFTER)
        self._pass_on()
        for process in self._processes:
            process.close()
        self._processes.clear()
        self._board.close()
        self._announcement.unlink(missing_ok=True)
        self._domain.release()


class BackgroundGraph(Graph):
    """A graph in the background of another command, as a context.

    Args:
        config: of the graph.
        log: file to which what the nodes say is appended.

    Raises:
        CannotWrite: the log cannot be written; no node has been started.
    """

    def __init__(self, config: GraphConfig, log: Path) -> None:
        nodes = build_graph(config)
        with writing(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log = log.open("a")
        super().__init__(nodes, self._log, Domain(), config.simulated)

    def close(self) -> None:
        """See `Graph.close`."""
        super().close()
        self._log.close()
