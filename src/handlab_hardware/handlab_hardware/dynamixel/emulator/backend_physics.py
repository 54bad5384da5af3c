"""Physics of emulated servos by a backend, such as MuJoCo: the servos turn its joints."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hardware.backend import Backend
from handlab_core.types import Array, BoolArray, Command, JointState, Reading
from handlab_hardware.dynamixel.emulator.firmware.settings import POSITION_MODES
from handlab_hardware.dynamixel.emulator.physics import Goals, Motion
from handlab_hardware.dynamixel.protocol.models import ServoModel

STEP = 0.01
"""s; step of the physics, a whole number of MuJoCo's steps; chosen."""
WORLD = 0  # index of the backend's only robot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServoJoint:
    """Joint of a servo: servo angle = zero + direction * joint angle."""

    index: int
    """Index in the joint order of its group."""
    fixture: bool = False
    """Whether the joint is the fixture's, not the hand's."""
    zero: float = np.pi  # rad; servo angle at the joint's zero
    direction: int = 1

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise BadConfig(f"a direction of {self.direction} cannot be; give 1 or -1")


class BackendPhysics:
    """Physics whose joints are those of a backend; implements `physics.Physics`.

    A backend takes position targets. A servo in another mode than a position mode has no torque,
    which is logged once. A servo's largest torque becomes the joint's largest effort.

    Args:
        backend: backend with one robot.
        joints: joint of each servo, in the order of the bus.
        models: model of each servo.
        period: length of one step, s.

    Raises:
        BadConfig: the backend has several robots, or the joints do not fit it.
    """

    def __init__(
        self,
        backend: Backend,
        joints: Sequence[ServoJoint],
        models: Sequence[ServoModel],
        period: float = STEP,
    ) -> None:
        if backend.num_envs != 1:
            raise BadConfig(
                f"a bus drives one robot, not {backend.num_envs}; give a backend of one"
            )
        if len(joints) != len(models):
            raise BadConfig(f"{len(joints)} joints for {len(models)} servos; give one for each")
        self.period, self._backend = period, backend
        self._stall = np.array([model.stall_torque for model in models])
        self._zero = np.array([joint.zero for joint in joints])
        self._direction = np.array([float(joint.direction) for joint in joints])
        hand = [i for i, joint in enumerate(joints) if not joint.fixture]
        fixture = [i for i, joint in enumerate(joints) if joint.fixture]
        self._servos = (hand, fixture)
        self._joints = tuple([joints[i].index for i in servos] for servos in self._servos)
        self._warned = False
        self._reading = backend.read()
        self._check(self._reading)

    def read(self) -> Motion:
        """See `Physics.read`."""
        position, velocity, torque = (np.zeros(len(self._zero)) for _ in range(3))
        for servos, joints, state in zip(
            self._servos, self._joints, (self._reading.hand, self._reading.fixture), strict=True
        ):
            position[servos] = state.q[WORLD, joints]
            velocity[servos] = state.qd[WORLD, joints]
            torque[servos] = state.effort[WORLD, joints]
        torque *= self._direction
        return Motion(
            self._zero + self._direction * position,
            self._direction * velocity,
            torque,
            np.clip(torque / self._stall, -1.0, 1.0),
        )

    def advance(self, goals: Goals) -> Motion:
        """See `Physics.advance`."""
        target = self._direction * (goals.position - self._zero)
        effort = np.where(self._follows(goals), goals.max_torque, 0.0)
        hand = self._command(0, self._reading.hand, target, effort)
        fixture = self._command(1, self._reading.fixture, target, effort)
        passive = not fixture.effort.any()
        self._reading = self._backend.step(hand, None if passive else fixture, self.period)
        return self.read()

    def _follows(self, goals: Goals) -> BoolArray:
        follows = np.isin(goals.mode, [int(mode) for mode in POSITION_MODES])
        if not self._warned and (~follows & (goals.max_torque > 0.0)).any():
            log.warning("behind a station, servos have torque in the position modes only")
            self._warned = True
        return follows

    def _command(self, group: int, state: JointState, target: Array, effort: Array) -> Command:
        """Return the command of one group; joints without a servo have no effort."""
        q, most = state.q.copy(), np.zeros_like(state.q)
        servos, joints = self._servos[group], self._joints[group]
        q[WORLD, joints] = target[servos]
        most[WORLD, joints] = effort[servos]
        return Command(q, most)

    def _check(self, reading: Reading) -> None:
        for joints, state, name in zip(
            self._joints, (reading.hand, reading.fixture), ("hand", "fixture"), strict=True
        ):
            n = state.q.shape[1]
            if len(set(joints)) < len(joints) or any(not 0 <= joint < n for joint in joints):
                raise BadConfig(
                    f"servos turn joints {joints} of the {name}, which has {n}; "
                    f"give each servo one of 0 to {n - 1} of its own"
                )
