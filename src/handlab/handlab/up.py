"""Run a graph's nodes as processes of this machine, where `ros2 launch` is not installed.

The processes are honcho's to manage. When one ends, all are stopped, and the user is told which it
was and what it said last.
"""

import argparse
import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import TextIO

import yaml
from honcho import manager as honcho
from honcho.printer import Message, Printer

from handlab.domain import Domain
from handlab.graph import GraphConfig, NodeSpec, build_graph

KILL_AFTER = 2
"""s. A process that does not end when it is asked to is killed after so long."""

ASK_AGAIN = 0.05
"""s, until it is looked again whether all processes have started and can be ended."""

LAST_LINES = 12
"""Shown of a node that died."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Nodes are many and their matrices small."""


class Transcript(Printer):  # type: ignore[misc]
    """Prints what nodes say, and remembers the last lines of each."""

    def __init__(self, output: TextIO) -> None:
        super().__init__(output)
        self.last: dict[str, deque[str]] = {}

    def write(self, message: Message) -> None:
        """Print one line of one node; honcho's own remarks are left out."""
        if message.name == honcho.SYSTEM_PRINTER_NAME:
            return
        text = (
            message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
        )
        self.last.setdefault(message.name, deque(maxlen=LAST_LINES)).append(text.rstrip())
        super().write(message)


class Manager(honcho.Manager):
    """Ends all processes, even if it is asked to while it starts them.

    The library hears by message of what has started. Asked before that it fails at the first one
    it has not heard of, and leaves it and those after it running.
    """

    def terminate(self) -> None:
        """End them once all have started."""
        if self._all_started():
            super().terminate()
        else:
            signal.signal(signal.SIGALRM, lambda *_: self.terminate())
            signal.setitimer(signal.ITIMER_REAL, ASK_AGAIN)


def command(node: NodeSpec) -> str:
    """Shell command of one node."""
    words = [sys.executable, "-m", node.module, "--ros-args", "-r", f"__node:={node.name}"]
    for name, other in node.remappings.items():
        words += ["-r", f"{name}:={other}"]
    for name, value in node.parameters.items():
        text = yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("\n...")
        words += ["-p", f"{name}:={text if value != '' else chr(39) * 2}"]
    return shlex.join(words)


def run_nodes(nodes: list[NodeSpec], output: TextIO) -> int:
    """Run nodes until one ends or this process is asked to end; return the exit code."""
    honcho.KILL_WAIT = KILL_AFTER
    transcript = Transcript(output)
    manager = Manager(transcript)
    for node in nodes:
        # exec: the shell gives way to the node, so that signals reach it.
        manager.add_process(node.name, f"exec {command(node)}", env={**os.environ, **ONE_THREAD})
    manager.loop()
    if manager.returncode in (130, 143):  # asked to end
        return 0
    codes = {name: part.get("returncode") for name, part in manager._processes.items()}
    dead = next((n for n, code in codes.items() if code not in (0, -signal.SIGTERM)), None)
    dead = dead or next(iter(codes))
    print(
        f"\n{dead} {_fate(codes[dead])}; everything was stopped. Its last lines:", file=sys.stderr
    )
    for line in transcript.last.get(dead, ["(it said nothing)"]):
        print(f"  {line}", file=sys.stderr)
    return 1


def _fate(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    if code is not None and code > 128 and code - 128 in set(signal.Signals):
        return f"was killed by {signal.Signals(code - 128).name}"
    return f"ended with code {code}"


class BackgroundGraph:
    """A graph in the background of another command; as a context, it ends with it."""

    def __init__(self, config: GraphConfig, log: Path) -> None:
        self.log = log
        self._domain = Domain()
        self.domain, self.simulated = self._domain.id, config.simulated
        words = [sys.executable, "-m", "handlab.up", json.dumps(vars(config)), "--log", str(log)]
        self._process = subprocess.Popen(
            words,
            env={**os.environ, "ROS_DOMAIN_ID": str(self.domain)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_end_with_parent,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the graph
        )

    def __enter__(self) -> "BackgroundGraph":
        """The graph is starting."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the graph and wait until all of it is gone."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(KILL_AFTER + 1)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._domain.release()

    def obituary(self) -> str | None:
        """What happened, if the graph has ended by itself; None while it runs."""
        if self._process.poll() is None:
            return None
        assert self._process.stderr is not None
        return self._process.stderr.read().strip() or "the graph ended"


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, however that dies (prctl(2))."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def main() -> None:
    """Run a graph given as JSON."""
    parser = argparse.ArgumentParser(prog="handlab.up", description=__doc__)
    parser.add_argument("config", help="fields of GraphConfig as JSON")
    parser.add_argument(
        "--log", type=Path, help="write what nodes say there instead of to the terminal"
    )
    arguments = parser.parse_args()
    nodes = build_graph(GraphConfig(**json.loads(arguments.config)))
    if arguments.log is None:
        raise SystemExit(run_nodes(nodes, sys.stdout))
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    with arguments.log.open("a") as log:
        raise SystemExit(run_nodes(nodes, log))


if __name__ == "__main__":
    main()
