"""A long run with faults: an emulated claw works while its bus fails every few seconds.

Requirements: no process ends. No sample is older than its stamp. No goal on the wire exceeds the
hand's limits, whatever the command. Every fault is reported on /diagnostics within a second, and
the hand recovers from it.
"""

import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState

from handlab.benches.options import MinutesOptions
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab.graph.processes import BackgroundGraph
from handlab_core.errors import StationFault, StationTimeout
from handlab_core.tasks import make_task
from handlab_core.types import Array
from handlab_hardware.clock import time_of_day
from handlab_hardware.dynamixel.emulator import EmulatedPort, Fault
from handlab_hardware.dynamixel.emulator.firmware.loop import LoopConfig
from handlab_hardware.dynamixel.emulator.physics import Goals, Motion, Physics
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.station_file import load_station, station_path
from handlab_interfaces.srv import Reboot
from handlab_nodes.messages import qos, topics
from handlab_nodes.messages.convert import from_stamp
from handlab_nodes.runtime.event_loop import EventLoop, guest

PAUSE = (2.0, 6.0)  # s, from one fault's end to the next
REPORT_LIMIT = 1.0  # s, from a fault to its report
RECOVERY_LIMIT = 20.0  # s, from the end of a fault until all is well
CLOCKS = 0.001
"""s; difference of the clocks of driver and bench, at most. A sample must equal the true state at
its stamp or later: the stamp is taken before the reading begins."""
FRESH = (
    2.5 * RAD_PER_TICK
)  # rad between a sample and the truth: the encoder, and the goal's rounding
QUICK_HEAT = LoopConfig(thermal=ThermalModel(time_constant=20.0))
"""A motor cools in seconds instead of minutes, so that an hour holds many of all faults."""

WILD = 0.1  # fraction of commands that the driver must not obey
REMEMBERED = 200  # states of the emulated world, 2 s

FAULTS: dict[str, dict[str, Any]] = {
    "drop": {"count": 3},
    "corrupt": {"count": 3},
    "delay": {"count": 2, "seconds": 0.08},
    "dead": {"seconds": 1.5},
    "brown_out": {"seconds": 0.5, "volts": 5.0},
    "overload": {},
    "shock": {},
    "encoder": {},
    "overheat": {},
    "unplug": {"seconds": 1.5},
}
"""Faults and their arguments; one is injected at a time."""

BUS_FAULTS = ("brown_out", "unplug", "drop", "corrupt", "delay")
"""Faults of the whole bus; the others strike one servo."""


@dataclass
class Verdict:
    """Counts and reports of a soak."""

    seed: int
    samples: int = 0
    beyond: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stale: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)
    not_recovered: list[str] = field(default_factory=list)
    report_s: list[float] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)

    @property
    def violations(self) -> int:
        """Number of all events that must not be."""
        return len(self.stale) + self.beyond + len(self.unreported) + len(self.not_recovered)


class Remembering:
    """Physics with a record of its past positions.

    Args:
        physics: the recorded physics.
        clock: s, that of the samples' stamps.
    """

    def __init__(self, physics: Physics, clock: Callable[[], float]) -> None:
        self._physics, self._clock, self.period = physics, clock, physics.period
        began = (clock(), physics.read().position.copy())
        self._past = deque([began], maxlen=REMEMBERED)

    def read(self) -> Motion:
        """See `Physics.read`."""
        return self._physics.read()

    def advance(self, goals: Goals) -> Motion:
        """See `Physics.advance`."""
        motion = self._physics.advance(goals)
        self._past.append((self._clock(), motion.position.copy()))
        return motion

    def since(self, stamp: float) -> Array:
        """Return all positions [rad] that were the newest at some time from `stamp` [s] on, (k, m).

        A world that a busy machine lets stand still is as it was, however long ago that began.
        """
        past = list(self._past)
        ends = [began for began, _ in past[1:]] + [np.inf]
        return np.array([q for (_, q), end in zip(past, ends, strict=True) if end >= stamp])

    def age(self, position: Array, stamp: float) -> float:
        """Return how long [s] before `stamp` the world was nearest to a position [rad], (m,)."""
        past = list(self._past)
        nearest = np.argmin([np.abs(q[: len(position)] - position).max() for _, q in past])
        return stamp - past[int(nearest)][0]


class Soak:
    """Commands a hand, breaks its bus, and watches both ends of the wire."""

    def __init__(self, node: Any, loop: EventLoop, port: EmulatedPort, seed: int) -> None:
        self._node, self._loop, self._port = node, loop, port
        self._rng, self.verdict = np.random.default_rng(seed), Verdict(seed)
        self._hand = make_task("valve").hand
        section = load_station(station_path("claw")).dynamixel
        assert section is not None
        self._servos = [servo for servo in section.servos if servo.joint in self._hand.joints]
        self._zero = np.array([servo.zero for servo in self._servos])
        self._direction = np.array([servo.direction for servo in self._servos])
        self._clock = time_of_day()
        self._world = Remembering(port.bus.loop.physics, self._clock)
        port.bus.loop.physics = self._world
        self._problem, self._counts = "starting", Counter[str]()
        self._stamp, self._began, self._reported_at = 0.0, time.monotonic(), 0.0
        self._newest, self._struck = "the start", self._clock()
        self._commands = node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        self._reboot = node.create_client(Reboot, "driver/reboot")
        self._change = node.create_client(ChangeState, "driver/change_state")
        node.create_subscription(JointState, topics.HAND_STATES, self._on_state, qos.STREAM)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        node.create_timer(0.1, self._command)

    def well(self) -> bool:
        """Return whether no problem is reported and states arrive."""
        return self._problem == "" and self._clock() - self._stamp < 0.5

    def strike(self) -> None:
        """Inject one fault, and check that it is reported and mended."""
        kind = str(self._rng.choice(list(FAULTS)))
        servo = self._servos[int(self._rng.integers(len(self._servos)))]
        fault = Fault(kind, id=None if kind in BUS_FAULTS else servo.id, **FAULTS[kind])
        self.verdict.faults[kind] += 1
        before = self._counts.copy()
        self._port.inject(fault)
        self._newest, self._struck = str(fault), self._clock()
        began = time.monotonic()
        try:
            self._loop.wait(lambda: self._reported(before), f"a report of {fault}", 5.0)
            took = self._reported_at - began
            self.verdict.report_s.append(took)
            if took > REPORT_LIMIT:
                self.verdict.unreported.append(f"{fault} after {took:.2f} s")
        except StationTimeout:
            self.verdict.unreported.append(str(fault))
        self._mend(fault, began)

    def _mend(self, fault: Fault, began: float) -> None:
        """Do what the reports ask a person to do, and wait."""
        deadline = began + RECOVERY_LIMIT
        while time.monotonic() < deadline:
            try:
                self._loop.wait(self.well, f"recovery from {fault}", 1.0)
                self.verdict.recovery_s.append(time.monotonic() - began)
                return
            except StationTimeout:
                for servo in self._servos:
                    if f"({servo.joint}) reports" in self._problem:
                        self._reboot.call_async(Reboot.Request(joint=servo.joint))
                if "deactivate and activate it" in self._problem:
                    for number in (
                        Transition.TRANSITION_DEACTIVATE,
                        Transition.TRANSITION_ACTIVATE,
                    ):
                        transition = Transition(id=number)
                        self._change.call_async(ChangeState.Request(transition=transition))
        self.verdict.not_recovered.append(f"{fault}: {self._problem}")

    def rest(self) -> None:
        """Handle events for a random time."""
        deadline = time.monotonic() + self._rng.uniform(*PAUSE)
        while time.monotonic() < deadline:
            self._loop.once(0.1)

    def _reported(self, before: "Counter[str]") -> bool:
        return self._problem != "" or any(self._counts[k] > before[k] for k in self._counts)

    def _command(self) -> None:
        """Move all joints to and fro; now and then send a target that the driver must refuse."""
        phase = time.monotonic() - self._began + np.arange(self._hand.n)
        q = self._hand.target(0.5 * np.sin(2.0 * phase))
        if self._rng.random() < WILD:
            joint = int(self._rng.integers(self._hand.n))
            q[joint] = self._rng.choice([np.nan, np.inf, 10.0, -10.0])
        self._commands.publish(JointState(name=list(self._hand.joints), position=q.tolist()))
        goals = np.array([self._table(servo.id, "goal_position") for servo in self._servos])
        target = self._direction * (goals * RAD_PER_TICK - self._zero)
        on = np.array([self._table(servo.id, "torque_enable") for servo in self._servos]) == 1
        outside = (target < self._hand.lower - RAD_PER_TICK) | (
            target > self._hand.upper + RAD_PER_TICK
        )
        self.verdict.beyond += int((outside & on).sum())

    def _table(self, servo: int, register: str) -> int:
        table = next(s.table for s in self._port.bus.loop.servos if s.id == servo)
        return int(table.get(register))

    def _on_state(self, message: JointState) -> None:
        stamp = from_stamp(message.header.stamp)
        self.verdict.samples += 1
        if stamp < self._stamp:  # a driver that is activated repeats its newest state
            self.verdict.stale.append(f"a stamp {self._stamp - stamp:.4f} s before the last one")
        horn = self._zero + self._direction * np.array(message.position)
        apart = np.abs(self._world.since(stamp - CLOCKS)[:, : self._hand.n] - horn).min(axis=0)
        if (apart > FRESH).any():
            joint, age = int(np.argmax(apart)), self._world.age(horn, stamp)
            self.verdict.stale.append(
                f"{self._hand.joints[joint]} {apart[joint] / RAD_PER_TICK:.1f} counts from the "
                f"truth, as {age:.3f} s before the stamp, {stamp - self._struck:.3f} s after "
                f"{self._newest}"
            )
        self._stamp = stamp

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in (s for s in message.status if s.name == "driver"):
            self._problem = status.message if status.level >= status.ERROR else ""
            values = {v.key: v.value for v in status.values if v.value.isdigit()}
            self._counts = Counter({key: int(value) for key, value in values.items()})
            self._reported_at = time.monotonic()


def soak(seconds: float, seed: int) -> Verdict:
    """Soak for some time.

    Raises:
        StationFault: the graph ended.
    """
    config = GraphConfig(runner=False, learner=False)
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        emulated_graph(config, Path(scratch), loop=QUICK_HEAT) as (port, graph),
        guest("runner", graph.domain) as (node, loop),
    ):
        subject = Soak(node, loop, port, seed)
        loop.wait(subject.well, "the hand to be well")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            subject.rest()
            subject.strike()
            _check(graph)
        return subject.verdict


def measure(seed: int, options: MinutesOptions) -> Result:
    """Soak and count the violations."""
    minutes = options.minutes
    verdict = soak(60 * minutes, seed)
    reports, recoveries = np.array(verdict.report_s), np.array(verdict.recovery_s)
    details = {
        "minutes": minutes,
        "samples": verdict.samples,
        "stale_samples": verdict.stale,
        "goals_beyond_limits": verdict.beyond,
        "faults": dict(verdict.faults),
        "untold_or_late": verdict.unreported,
        "not_recovered": verdict.not_recovered,
        "report_s": {"median": float(np.median(reports)), "max": float(reports.max())},
        "recovery_s": {"median": float(np.median(recoveries)), "max": float(recoveries.max())},
        "seed": seed,
    }
    return Result(verdict.violations, 0, "violations", details)


def _check(graph: BackgroundGraph) -> None:
    if (reason := graph.exit_reason()) is not None:
        raise StationFault(reason)


def _cell(result: Kept) -> str:
    slowest = f"slowest report {result['report_s']['max']:.2f} s"
    faults = f"{sum(result['faults'].values())} faults in {result['minutes']:.0f} min"
    return f"**{result['value']:.0f}**; {faults}, {result['samples']} samples, {slowest}"


BENCH = Bench(
    measure,
    options=MinutesOptions,
    figure=Figure(
        "an hour of faults on an emulated claw: violations",
        "0",
        _cell,
        key=True,
    ),
)
