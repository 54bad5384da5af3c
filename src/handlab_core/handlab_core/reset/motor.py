"""Reset with motors: the fixture's motor turns the object, the hand moves to its nominal pose.

The procedure follows ROBEL (robel/dclaw/scripted_reset.py @ 5b0fd37), which waits for a person
after three failures; this one ends and names the joints.

| stage       | hand                                           | object          | until          |
|-------------|------------------------------------------------|-----------------|----------------|
| release     | released joints limp, the others to nominal    | held            | `release_time` |
| object_home | the same                                       | driven to start | there, at rest |
| hand_home   | all joints to nominal                          | held            | there          |
| verify      | all held                                       | held            | one tick       |
| disentangle | limp, then stage by stage to where it is free  | limp            | stages done    |

A stage that takes longer than its limit, or does not verify, goes to `disentangle` and from there
to the next attempt; after the last attempt all is limp.

The procedure `motor_worn` is for hands with a loose or a dead servo, whose joints cannot arrive.
Its episodes begin where the joints come to rest, once the object is at its start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.reset.procedure import RESETS, BuildReset, ResetTick
from handlab_core.types import Array, Command, Reading


class Stage(StrEnum):
    """Stages of the procedure."""

    RELEASE = "release"
    OBJECT_HOME = "object_home"
    HAND_HOME = "hand_home"
    VERIFY = "verify"
    DISENTANGLE = "disentangle"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class ResetConfig:
    """Tolerances and time limits."""

    tolerance: float = np.deg2rad(5.0)
    """rad; tolerance of hand and object; robel/dclaw/scripted_reset.py."""
    at_rest: float = 0.1
    """rad/s; speed below which the object counts as standing."""
    attempts: int = 3
    """Number of attempts; robel/dclaw/scripted_reset.py."""
    release_time: float = 0.2
    """s; time in which released fingers fall off the object."""
    object_timeout: float = 10.0
    """s; timeout of the object's motion; robel/dclaw/scripted_reset.py."""
    hand_timeout: float = 3.0
    """s; timeout of the hand's motion; robel/utils/reset_procedure.py."""
    disentangle_time: float = 0.75
    """s; duration of each stage of disentangling; robel/dclaw/scripted_reset.py."""
    clearance: float | None = None
    """rad; turn of the object from its target while the hand is disentangled, as far as the fixture
    allows: away from fingers that are hooked behind it. None: the object is limp."""
    worn: bool = False
    """Whether a hand whose joints do not arrive within `hand_timeout` is taken as it stands."""


WORN = ResetConfig(hand_timeout=1.0, worn=True)
"""The claw needs less than a second; chosen."""


class MotorReset:
    """One reset of one robot.

    Args:
        hand: moves to its nominal pose.
        fixture: its motor turns the object.
        object_angle: rad; target angle of the object.
        config: tolerances and time limits.
    """

    def __init__(
        self, hand: Hand, fixture: Fixture, object_angle: float, config: ResetConfig | None = None
    ) -> None:
        if not fixture.lower <= object_angle <= fixture.upper:  # NaN, too
            raise BadConfig(
                f"an object angle of {object_angle:g} rad cannot be; the {fixture.name} turns from "
                f"{fixture.lower:.3f} to {fixture.upper:.3f} rad"
            )
        self.hand, self.fixture, self.object_angle = hand, fixture, object_angle
        self.config = config or ResetConfig()
        self.stage, self.attempt, self.stage_time, self.elapsed = Stage.RELEASE, 1, 0.0, 0.0
        self._disentangle_time = self.config.disentangle_time * (1 + len(hand.disentangle))
        self._limp = np.isin(hand.joints, hand.release)
        self._full = np.broadcast_to(hand.max_effort, (1, hand.n))
        self._hand_error = np.zeros(hand.n)
        self.failed_joints: tuple[str, ...] = ()
        """See `ResetProcedure.failed_joints`."""

    def tick(self, reading: Reading, period: float) -> ResetTick:
        """See `ResetProcedure.tick`."""
        q, angle = reading.hand.q, float(reading.fixture.q[0, 0])
        self._hand_error = (q - self.hand.nominal)[0]
        self._object_error = angle - self.object_angle
        self._object_off = abs(self._object_error) > self.config.tolerance
        self._advance(abs(float(reading.fixture.qd[0, 0])) <= self.config.at_rest)
        self.stage_time += period
        self.elapsed += period
        return ResetTick(
            self._hand_command(q),
            self._fixture_command(angle),
            self.stage,
            self.attempt,
            self._object_error,
            float(np.abs(self._hand_error).max()),
        )

    def _advance(self, standing: bool) -> None:
        config, late = self.config, self.stage_time
        hand_there = bool((np.abs(self._hand_error) <= config.tolerance).all())
        object_there = not self._object_off and standing
        if self.stage is Stage.RELEASE and late >= config.release_time:
            self._enter(Stage.OBJECT_HOME)
        elif self.stage is Stage.OBJECT_HOME:
            if object_there:
                self._enter(Stage.HAND_HOME)
            elif late >= config.object_timeout:
                self._give_up(())  # no joint of the hand has a target yet
        elif self.stage is Stage.HAND_HOME:
            if hand_there:
                self._enter(Stage.VERIFY)
            elif late >= config.hand_timeout and config.worn and object_there:
                self._enter(Stage.DONE)
            elif late >= config.hand_timeout:
                self._give_up(self.hand.joints)
        elif self.stage is Stage.VERIFY:
            if hand_there and object_there:
                self._enter(Stage.DONE)
            else:
                self._give_up(self.hand.joints)
        elif self.stage is Stage.DISENTANGLE and late >= self._disentangle_time:
            self.attempt += 1
            self._enter(Stage.RELEASE)

    def _give_up(self, moving: Sequence[str]) -> None:
        """End this attempt, and note which of the object and the moving joints did not arrive."""
        outside = np.abs(self._hand_error) > self.config.tolerance
        late = [name for name in moving if outside[self.hand.index(name)]]
        self.failed_joints = (*late, self.fixture.joint) if self._object_off else tuple(late)
        last = self.attempt >= self.config.attempts
        self._enter(Stage.FAILED if last else Stage.DISENTANGLE)

    def _enter(self, stage: Stage) -> None:
        self.stage, self.stage_time = stage, 0.0

    def _hand_command(self, q: Array) -> Command:
        home = np.broadcast_to(self.hand.nominal, q.shape)
        if self.stage in (Stage.RELEASE, Stage.OBJECT_HOME):
            return Command(home, np.where(self._limp, 0.0, self._full))
        if self.stage is Stage.DISENTANGLE:
            return self._disentangle_command(q)
        if self.stage is Stage.FAILED:
            return Command(q, np.zeros_like(q))
        return Command(home, self._full)

    def _disentangle_command(self, q: Array) -> Command:
        """Release all joints, then engage the hand's stages one after another."""
        target, effort = q.copy(), np.zeros_like(q)
        done = int(self.stage_time / self.config.disentangle_time)
        for stage in self.hand.disentangle[:done]:
            for joint, angle in stage:
                i = self.hand.index(joint)
                target[0, i], effort[0, i] = angle, self.hand.max_effort[i]
        return Command(target, effort)

    def _fixture_command(self, angle: float) -> Command:
        clearance = self.config.clearance
        if self.stage is Stage.DISENTANGLE and clearance is not None:
            lower, upper = self.fixture.lower, self.fixture.upper
            away = min(max(self.object_angle + clearance, lower), upper)
            return Command(np.array([[away]]), np.array([[self.fixture.max_effort]]))
        limp = self.stage in (Stage.DISENTANGLE, Stage.FAILED)
        target = angle if limp or self.stage is Stage.RELEASE else self.object_angle
        effort = 0.0 if limp else self.fixture.max_effort
        return Command(np.array([[target]]), np.array([[effort]]))


@RESETS.register
def motor() -> BuildReset:
    """Build the procedure that turns the object with the fixture's motor."""
    return MotorReset


@RESETS.register
def motor_worn() -> BuildReset:
    """Build the same procedure for a hand with joints that cannot arrive."""
    return partial(MotorReset, config=WORN)
