"""CPU time of the console beside an idle graph, and its delay at 60 joint states a second."""

import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import viser
import zstandard
from sensor_msgs.msg import JointState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.graph import await_nodes
from handlab.benches.running.idle import SETTLE, cpu_seconds
from handlab.graph.config import GraphConfig
from handlab.graph.processes import BackgroundGraph
from handlab.graph.ros_domain import Domain
from handlab_core.errors import StationFault
from handlab_core.tasks import make_task
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.event_loop import guest

TASK, JOINT, LINK = "valve", "FFJ12", "first_distal"
"""Task of the graph, the joint that moves, and its link, whose frame turns with it from 0."""

LIMIT = 5.0
"""Percent of a core, with one page open."""

SECONDS = 10.0
"""Duration of each measurement of CPU time."""

RATE, STATES, STEP = 60.0, 600, 0.001
"""Hz; number; rad. Joint states that are sent: each differs from the one before by a step."""

CAMERA = {
    "wxyz": [1, 0, 0, 0], "position": [1, 0, 0], "fov": 1.0, "near": 0.1, "far": 10.0,
    "image_height": 100, "image_width": 100, "look_at": [0, 0, 0], "up_direction": [0, 0, 1],
}  # fmt: skip
"""View of a page; viser counts a page as open when it has sent one."""


class Page:
    """A page that is open but not drawn: the program's part of a browser.

    Args:
        port: TCP port of the console.
    """

    def __init__(self, port: int) -> None:
        protocol = Subprotocol(f"viser-v{viser.__version__}")
        address = f"127.0.0.1:{port}"
        self._socket = connect(
            f"ws://{address}",
            subprotocols=[protocol],
            max_size=None,
            origin=Origin(f"http://{address}"),
        )
        view = {"type": "ViewerCameraMessage"} | CAMERA
        self._socket.send(msgspec.msgpack.encode(view))
        self.angles: list[tuple[float, float]] = []
        """Turns of the link on the page: time [s] and angle [rad]."""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        unpack = zstandard.ZstdDecompressor()
        try:
            for data in self._socket:
                assert isinstance(data, bytes)
                size = int.from_bytes(data[8:16], "little")
                window = msgspec.msgpack.decode(unpack.decompress(data[16 : 16 + size]))
                for message in window["messages"]:
                    self._take(message)
        except ConnectionClosed:
            pass

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "SetOrientationMessage" and message["name"].endswith(LINK):
            w, *xyz = message["wxyz"]
            self.angles.append((time.monotonic(), 2.0 * math.atan2(math.hypot(*xyz), abs(w))))

    def close(self) -> None:
        """Leave the console."""
        self._socket.close()
        self._thread.join()


def measure(seed: int) -> Result:
    """Measure the CPU time of the console and its delay.

    Args:
        seed: random seed; nothing here is random.
    """
    percent = _idle()
    delays, shown = _delays()
    details = {
        "percent_without_page": percent[0],
        "delay_median": float(np.median(delays)),
        "delay_95": float(np.quantile(delays, 0.95)),
        "shown_rate": shown,
        "sent_rate": RATE,
        "seconds": SECONDS,
    }
    return Result(percent[1], LIMIT, "% of a core", details)


def _idle() -> tuple[float, float]:
    """Return the CPU time of the console beside an idle graph without a page and with one, %."""
    config = GraphConfig(TASK, pace="real", learner=False)
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        BackgroundGraph(config, Path(scratch, "nodes.log")) as graph,
        _console(graph.domain) as (process, port),
    ):
        with guest("_bench", graph.domain, config.simulated) as (_, loop):
            await_nodes(config, loop, graph.exit_reason)
        time.sleep(SETTLE)
        without = _percent(process)
        page = Page(port)
        try:
            time.sleep(1.0)  # the page gets the whole scene first
            return without, _percent(process)
        finally:
            page.close()


def _percent(process: int) -> float:
    before, began = cpu_seconds(process), time.monotonic()
    time.sleep(SECONDS)
    return 100.0 * (cpu_seconds(process) - before) / (time.monotonic() - began)


def _delays() -> tuple[list[float], float]:
    """Return delays from a joint state to its scene on the page [s], and the scenes a second."""
    domain = Domain()
    try:
        with (
            _console(domain.id) as (_, port),
            guest("driver", domain.id) as (node, loop),
        ):
            publisher = node.create_publisher(JointState, topics.HAND_STATES, qos.STREAM)
            page = Page(port)
            try:
                while not page.angles:  # DDS has connected the two
                    publisher.publish(_state(1))
                    loop.rest(0.1)
                page.angles.clear()
                sent = {}
                due = time.monotonic()
                for number in range(2, 2 + STATES):
                    sent[number] = time.monotonic()
                    publisher.publish(_state(number))
                    due += 1.0 / RATE
                    time.sleep(max(0.0, due - time.monotonic()))
                took = time.monotonic() - sent[2]
                time.sleep(1.0)
            finally:
                page.close()
    finally:
        domain.release()
    found = [(at, round(angle / STEP)) for at, angle in page.angles]
    return [at - sent[number] for at, number in found if number in sent], len(found) / took


def _state(number: int) -> JointState:
    joints = make_task(TASK).hand.joints
    position = [number * STEP * (joint == JOINT) for joint in joints]
    nothing = [0.0] * len(joints)
    state = JointState(name=list(joints), position=position, velocity=nothing, effort=nothing)
    state.header.stamp.sec = 1 + number
    return state


@contextmanager
def _console(domain: int) -> Iterator[tuple[int, int]]:
    """Run the console in a domain; yield the id of its process and its port."""
    words = ["-m", "handlab.browser.viewer_node", "--ros-args", "-p", f"task:={TASK}"]
    process = subprocess.Popen(
        [sys.executable, *words, "-p", "port:=0"],
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"open http://127\.0\.0\.1:(\d+)", line):
                yield process.pid, int(found[1])
                return
        raise StationFault("the console ended before it served its page")
    finally:
        process.terminate()
        process.communicate()


def _cell(result: Kept) -> str:
    return (
        f"**{result['value']:.1f} %** ({result['percent_without_page']:.1f} % without a page); "
        f"{1e3 * result['delay_median']:.0f} ms, 95 % within {1e3 * result['delay_95']:.0f} ms, "
        f"at {result['sent_rate']:.0f} states/s"
    )


BENCH = Bench(
    measure,
    figure=Figure(
        "the console with one page open: CPU time beside an idle graph, of a core; delay of "
        "joint states to the page",
        "under 5 %; 60 states/s without lag",
        _cell,
    ),
)
