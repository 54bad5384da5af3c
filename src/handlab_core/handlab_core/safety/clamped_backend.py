"""A backend behind the clamp, the only way of a command to a wire.

This module alone decides the goal of each joint: commands, holding and releasing meet here. The
clamp is the last step, and the backend sends its result unchanged: `ClampedBackend.sent`. The
backend of motors can only take more away: it releases a joint that is hot, silent or in error.
"""

import numpy as np

from handlab_core.errors import StationFault
from handlab_core.hands import Hand
from handlab_core.hardware.backend import Backend, GoalsInForce, Guidable, Hardware, Restorable
from handlab_core.objects.fixture import Fixture
from handlab_core.safety import limits as safety
from handlab_core.system import batch
from handlab_core.types import Array, Command, IntArray, Reading

HAND, FIXTURE = 0, 1
"""Indices of the groups in pairs of values."""


class ClampedBackend:
    """Clamp every command, record the command as sent, and count the changed targets.

    Implements `handlab_core.hardware.backend.Backend` around another one.

    In simulation a target may move for one period in every step, since a step is one period of the
    world. On hardware it may move for the time since the goal before it went out, and for one
    period at most: however late or early a step comes, no joint is sent faster than its limit.
    """

    def __init__(self, hand: Hand, fixture: Fixture, backend: Backend) -> None:
        self.num_envs, self._backend = backend.num_envs, backend
        self._hardware = backend if isinstance(backend, Hardware) else None
        self._hand, self._fixture = hand, fixture
        self._limits = safety.Limits.of_hand(hand), safety.Limits.of_fixture(fixture)
        self.dropped = self.clamped = 0
        """Number of joint targets that were not finite, and that were moved into the limits."""
        self._loose = np.zeros(hand.n, dtype=bool), np.zeros(1, dtype=bool)
        self._reading: Reading
        self._sent: list[Command]
        self._restart(backend.read())

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """See `Backend.reset`."""
        reading = self._backend.reset(robots, object_angle)
        if robots is None or len(robots) == self.num_envs:
            self._restart(reading)
        else:
            released = safety.release(reading.hand.q), safety.release(reading.fixture.q)
            self._reading = batch.put(self._reading, robots, reading)
            pairs = zip(self._sent, released, strict=True)
            self._sent = [batch.put(sent, robots, new) for sent, new in pairs]
        return reading

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """See `Backend.step`; `sent` holds the commands after the clamp."""
        if self._hardware is not None:
            return self._drive(self._hardware, hand, fixture, period)
        some = None if robots is None or len(robots) == self.num_envs else robots
        hand = self._simulate(HAND, hand, self._reading.hand.q, period, some)
        if fixture is None:
            self._sent[FIXTURE] = safety.release(self._reading.fixture.q)
        else:
            fixture = self._simulate(FIXTURE, fixture, self._reading.fixture.q, period, some)
        reading = self._backend.step(hand, fixture, period, some)
        self._reading = reading if some is None else batch.put(self._reading, some, reading)
        return reading

    def read(self) -> Reading:
        """Return the newest reading of all robots."""
        return self._reading

    def guide(self, guide: Command) -> None:
        """Guide a simulated hand by springs at `q` with the stiffness [N m/rad] in `effort`.

        Raises:
            StationFault: the hand is real; a person guides it.
        """
        if not isinstance(self._backend, Guidable):
            raise StationFault("only a simulated hand is led from outside; lead this one by hand")
        known = np.isfinite(guide.q) & np.isfinite(guide.effort)
        self._backend.guide(np.where(known, guide.q, 0.0), np.where(known, guide.effort, 0.0))

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    @property
    def sent(self) -> tuple[Command, Command]:
        """Commands of hand and fixture as sent; effort 0: no goal was sent."""
        return self._sent[HAND], self._sent[FIXTURE]

    def passive_joints(self) -> Array:
        """Return the angles of the fixture's passive joints; (N, p) rad.

        Only a simulation measures them; on hardware they count as at rest.
        """
        count = len(self._fixture.passive)
        rest = np.zeros((self.num_envs, count))
        sprung: Array = getattr(self._backend, "sprung", rest)
        return sprung.copy() if sprung.shape[1] == count else rest

    @property
    def state(self) -> Array | None:
        """State of a simulation, (N, s); see `Restorable`. None: hardware has none."""
        return self._backend.state if isinstance(self._backend, Restorable) else None

    def loosen(self, joint: str, loose: bool) -> None:
        """Release a joint whatever its command, or end that; raise UnknownName if there is none."""
        if joint == self._fixture.joint:
            self._loose[FIXTURE][0] = loose
        else:
            self._loose[HAND][self._hand.index(joint)] = loose

    def _restart(self, reading: Reading) -> None:
        self._reading = reading
        self._sent = [safety.release(reading.hand.q), safety.release(reading.fixture.q)]

    # Simulation.

    def _simulate(
        self, group: int, command: Command, q: Array, period: float, robots: IntArray | None
    ) -> Command:
        previous, limits = self._sent[group], self._limits[group]
        command = self._loosened(group, command)
        if robots is not None:
            previous, q = batch.take(previous, robots), q[robots]
        q = np.minimum(np.maximum(q, limits.lower), limits.upper)
        sent = self._counted(safety.clamp(command, previous, q, limits, period))
        whole = sent
        if robots is not None:
            whole = batch.put(self._sent[group], robots, whole)
        self._sent[group] = whole
        return sent

    # Hardware.

    def _drive(
        self, hardware: Hardware, hand: Command, fixture: Command | None, period: float
    ) -> Reading:
        if fixture is None:
            fixture = safety.release(self._reading.fixture.q)
        commands = self._loosened(HAND, hand), self._loosened(FIXTURE, fixture)
        efforts = [
            safety.allowed_effort(commands[group].effort, self._sent[group].effort, limits)
            for group, limits in enumerate(self._limits)
        ]
        in_force = hardware.prepare(efforts[HAND], efforts[FIXTURE])
        self._sent = [
            self._clamp(group, commands[group].q, efforts[group], in_force[group], period)
            for group in (HAND, FIXTURE)
        ]
        self._reading = hardware.step(*self.sent, period)
        if not hardware.delivered:
            self._sent = [safety.release(goals.goal.q) for goals in in_force]
        return self._reading

    def _clamp(
        self, group: int, q: Array, effort: Array, in_force: GoalsInForce, period: float
    ) -> Command:
        goal, limits = in_force.goal, self._limits[group]
        takes = goal.effort > 0.0
        wanted = q if in_force.hold is None else in_force.hold
        command = Command(wanted, np.where(takes, np.minimum(effort, in_force.max_effort), 0.0))
        time = safety.reach_time(in_force.age, period, in_force.resolution, limits)
        sent = self._counted(safety.clamp(command, goal, goal.q, limits, time))
        return Command(np.where(takes, sent.q, goal.q), sent.effort)

    def _loosened(self, group: int, command: Command) -> Command:
        if not self._loose[group].any():
            return command
        return Command(command.q, np.where(self._loose[group], 0.0, command.effort))

    def _counted(self, sent: safety.Sent) -> Command:
        self.dropped += sent.dropped
        self.clamped += sent.clamped
        return sent.command
