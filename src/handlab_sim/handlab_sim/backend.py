"""MuJoCo backend: N simulated robots of one model, stepped on a thread pool."""

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

from handlab_core.errors import StationFault
from handlab_core.hands import Hand, make_hand
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.types import NS_PER_S, Array, Command, IntArray, JointState, Reading
from handlab_sim.scene import SceneConfig, steps_in
from handlab_sim.varied import spread, varied_model

PLACING_TIME = 10.0
"""s; simulated duration of a placement, about that of a person; chosen.

A placement costs robot time, and an estimator notices that the object was out of sight."""

EVERYONE = slice(None)

UNSTABLE = [
    int(warning)
    for warning in (
        mujoco.mjtWarning.mjWARN_BADQPOS,
        mujoco.mjtWarning.mjWARN_BADQVEL,
        mujoco.mjtWarning.mjWARN_BADQACC,
    )
]


class MujocoBackend:
    """Backend of N simulated robots; implements `handlab_core.hardware.backend.Backend`.

    Args:
        hand: hand above the table.
        fixture: fixture below the hand.
        num_envs: number of robots, N.
        threads: number of threads that step the robots.
        config: simulation parameters; None: the defaults.
        objects: variation of each robot's object, all with the same number of lobes; None: no
            variation.
        after: stamp of the last reading of a backend that this one replaces, s. Time continues
            after PLACING_TIME. None: time begins at 0.
    """

    def __init__(
        self,
        hand: Hand,
        fixture: Fixture,
        num_envs: int = 1,
        threads: int = 1,
        config: SceneConfig | None = None,
        objects: Sequence[ObjectVariation] | None = None,
        after: float | None = None,
    ) -> None:
        config = config or SceneConfig()
        self.hand, self.fixture, self.num_envs = hand, fixture, num_envs
        chosen = [ObjectVariation()] if objects is None else list(objects)
        models = {o: varied_model(hand, fixture, config, o) for o in dict.fromkeys(chosen)}
        self.model = models[chosen[0]]
        self.batch = Batch(self.model, num_envs, threads)
        if len(models) > 1:
            spread(self.batch, self.model, [models[o] for o in chosen])
        self._qpos, self._qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        self._ctrl, self._force = self.batch.bind("ctrl"), self.batch.bind("actuator_force")
        self._force_range = self.batch.expand("actuator_forcerange")
        self._limit = self._force_range[0, :, 1].copy()
        joints = [self.model.joint(name) for name in (*hand.joints, fixture.joint)]
        self._qpos_at = np.array([joint.qposadr[0] for joint in joints])
        self._qvel_at = np.array([joint.dofadr[0] for joint in joints])
        self._joint_at = np.array([joint.id for joint in joints])
        self._springs: tuple[Array, Array] | None = None  # stiffness and rest, while guided
        self._sprung_at = np.setdiff1d(np.arange(self.model.nq), self._qpos_at)
        begin = 0.0 if after is None else after + PLACING_TIME
        self._time_ns = np.full(num_envs, round(begin * NS_PER_S), dtype=np.int64)
        self._timestep = float(self.model.opt.timestep)
        self._place(np.arange(num_envs), 0.0)

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Place the hand in its nominal pose and the object at an angle, rad, both at rest.

        Time advances by PLACING_TIME.
        """
        rows = np.arange(self.num_envs) if robots is None else robots
        self._place(rows, object_angle)
        self._time_ns[rows] += round(PLACING_TIME * NS_PER_S)
        return self._reading(rows)

    def _place(self, rows: IntArray, object_angle: float | Array) -> None:
        self.batch.reset(ids=rows)
        self._qpos[np.ix_(rows, self._qpos_at[:-1])] = self.hand.nominal
        self._qpos[rows, self._qpos_at[-1]] = object_angle
        self._ctrl[rows, :-1] = self.hand.nominal
        self._ctrl[rows, -1] = object_angle

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """Advance robots by one period; see `Backend.step`.

        Raises:
            StationFault: the simulation became unstable.
            BadConfig: the period is not a whole number of the simulation's steps.
        """
        rows = EVERYONE if robots is None else robots
        substeps = steps_in(period, self._timestep)
        self._ctrl[rows, :-1] = hand.q
        limit = np.minimum(hand.effort, self._limit[:-1])
        self._force_range[rows, :-1, 0], self._force_range[rows, :-1, 1] = -limit, limit
        if fixture is None:
            self._force_range[rows, -1] = 0.0
        else:
            self._ctrl[rows, -1] = fixture.q[:, 0]
            push = np.minimum(fixture.effort[:, 0], self._limit[-1])
            self._force_range[rows, -1, 0], self._force_range[rows, -1, 1] = -push, push
        self.batch.step(ids=robots, nstep=substeps)
        self._time_ns[rows] += round(period * NS_PER_S)
        if self.batch.warning.any() and self.batch.warning[:, UNSTABLE].any():
            sick = np.flatnonzero(self.batch.warning[:, UNSTABLE].any(axis=1))
            raise StationFault(f"the simulation of robots {sick.tolist()} became unstable")
        return self._reading(rows)

    def read(self) -> Reading:
        """Return the newest reading of all robots."""
        return self._reading(EVERYONE)

    @property
    def sprung(self) -> Array:
        """Return the angles of joints on springs, (N, s) rad; real stations do not measure them."""
        sprung: Array = self._qpos[:, self._sprung_at]
        return sprung

    def guide(self, q: Array, stiffness: Array, robots: IntArray | None = None) -> None:
        """See `handlab_core.hardware.backend.Guidable`; implemented by MuJoCo's joint springs."""
        rows = EVERYONE if robots is None else robots
        if self._springs is None:
            self._springs = self.batch.expand("jnt_stiffness"), self.batch.expand("qpos_spring")
        stiffnesses, rest = self._springs
        joints = np.arange(self.num_envs)[rows][:, None], self._joint_at[None, :-1]
        stiffnesses[joints] = stiffness
        rest[np.arange(self.num_envs)[rows][:, None], self._qpos_at[None, :-1]] = q

    def close(self) -> None:
        """Do nothing; the simulation holds no external resources."""

    def _reading(self, rows: IntArray | slice) -> Reading:
        stamp = self._time_ns[rows] / NS_PER_S
        q = self._qpos[rows].take(self._qpos_at, axis=1)
        qd = self._qvel[rows].take(self._qvel_at, axis=1)
        force = self._force[rows].copy()
        return Reading(
            hand=JointState(stamp, q[:, :-1], qd[:, :-1], force[:, :-1]),
            fixture=JointState(stamp, q[:, -1:], qd[:, -1:], force[:, -1:]),
        )


def make_backend(
    hand: str,
    fixture: str,
    num_envs: int = 1,
    threads: int = 1,
    objects: Sequence[ObjectVariation] | None = None,
    after: float | None = None,
) -> MujocoBackend:
    """Build a backend by the names of hand and object; see `MujocoBackend` for the arguments."""
    return MujocoBackend(
        make_hand(hand), FIXTURES.make(fixture), num_envs, threads, objects=objects, after=after
    )
