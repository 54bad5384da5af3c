"""MuJoCo backend: N simulated robots of one model, stepped on a thread pool."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from handlab_core.errors import BadConfig, StationFault
from handlab_core.hands import Hand, make_hand
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.system import batch as batching
from handlab_core.types import NS_PER_S, Array, Command, IntArray, JointState, Reading
from handlab_core.worlds.signal_path import SignalPath
from handlab_core.worlds.world import World
from handlab_sim.scene import SceneConfig, build_spec, steps_in
from handlab_sim.varied import LONGEST_DELAY, WorldFields, make_variants
from handlab_sim.warp_batch import GPU, WarpBatch

MakeBatch = Callable[[mujoco.MjModel, int, int], Any]
"""Builds the batch of a model, a number of robots and of threads."""

PLACING_TIME = 10.0
"""s; simulated duration of a placement, about that of a person; chosen.

A placement costs robot time, and an estimator notices that the object was out of sight."""

EVERYONE = slice(None)

STATE = ("time", "qpos", "qvel", "qacc_warmstart")
"""Arrays that determine the next step; MuJoCo, mjSTATE_INTEGRATION, of models without equality
constraints that change and mocap bodies. Pressures of a soft hand are further ones, `act`."""

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
        worlds: parameters of each robot's world, all with the same number of lobes; None: those of
            the descriptions.
        after: stamp of the last reading of a backend that this one replaces, s. Time continues
            after PLACING_TIME. None: time begins at 0.
        make_batch: builds the batch of a model, a number of robots and of threads.
    """

    def __init__(
        self,
        hand: Hand,
        fixture: Fixture,
        num_envs: int = 1,
        threads: int = 1,
        config: SceneConfig | None = None,
        worlds: Sequence[World] | None = None,
        after: float | None = None,
        make_batch: MakeBatch = Batch,
    ) -> None:
        self._make_batch = make_batch
        self.hand, self.fixture, self.num_envs = hand, fixture, num_envs
        self._n = hand.n  # actuators: the hand, the fixture, then dry friction
        self._threads, self._begin = threads, 0.0 if after is None else after + PLACING_TIME
        self._variants = make_variants(hand, fixture, config or SceneConfig())
        self._fields: WorldFields | None = None
        self._path: SignalPath | None = None
        if worlds is None:
            model = build_spec(hand, fixture, config or SceneConfig()).compile()
            self._simulate(model)
            self._restart()
        else:
            self.become(worlds)

    def become(self, worlds: Sequence[World]) -> None:
        """Begin again with other worlds, one for each robot, at the first stamp.

        Models are compiled only for sizes that were not there before.

        Raises:
            BadConfig: there is not one world for each robot, or their numbers of lobes differ.
        """
        if len(worlds) != self.num_envs:
            raise BadConfig(f"{len(worlds)} worlds for {self.num_envs} robots; give one for each")
        fields = self._fields
        if fields is None or not fields.takes(worlds):
            fields = self._fields = WorldFields(self._variants, worlds)
            self._simulate(fields.model)
        fields.set(self.batch, worlds)
        most = np.stack([world.servos.torque_limit for world in worlds])
        self._limit = np.broadcast_to(self._described, (self.num_envs, len(self._described))).copy()
        self._limit[:, : self._n] = np.minimum(self._limit[:, : self._n], most)
        self._path = None
        if not all(world.ideal_wire for world in worlds):
            self._path = SignalPath(worlds, self.hand.upper - self.hand.lower)
        self._restart()

    def _simulate(self, model: mujoco.MjModel) -> None:
        """Make the batch of a model."""
        hand, fixture = self.hand, self.fixture
        self.model = model
        self.batch = self._make_batch(model, self.num_envs, self._threads)
        self._qpos, self._qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        names = (*STATE, "act") if model.na else STATE
        self._state = tuple(self.batch.bind(name) for name in names)
        self._pressure = self.batch.bind("act") if model.na else None
        self._pressure_rate = self.batch.bind("act_dot") if model.na else None
        self._ctrl, self._force = self.batch.bind("ctrl"), self.batch.bind("actuator_force")
        self._force_range = self.batch.expand("actuator_forcerange")
        self._delays = self.batch.expand("actuator_delay") if model.nhistory else None
        self._history = self.batch.bind("history") if model.nhistory else None
        self._remembered = _history_values(model, self._n) if model.nhistory else np.zeros(0, int)
        self._described = self._force_range[0, :, 1].copy()
        if hand.pneumatics is not None:
            self._described[: self._n] = hand.servos.torque_limit
        self._limit = self._described[None, :]
        joints = [model.joint(name) for name in (*hand.moving, fixture.joint)]
        self._rest = hand.shape(hand.nominal)
        self._qpos_at = np.array([joint.qposadr[0] for joint in joints])
        self._qvel_at = np.array([joint.dofadr[0] for joint in joints])
        self._joint_at = np.array([joint.id for joint in joints])
        self._springs: tuple[Array, Array] | None = None  # stiffness and rest, while guided
        driven = self._qpos_at if hand.pneumatics is None else self._qpos_at[-1:]
        self._sprung_at = np.setdiff1d(np.arange(model.nq), driven)
        self._timestep = float(model.opt.timestep)

    def _restart(self) -> None:
        begin = round(self._begin * NS_PER_S)
        self._time_ns = np.full(self.num_envs, begin, dtype=np.int64)
        self._place(np.arange(self.num_envs), 0.0)
        self._measured = self._reading(EVERYONE)
        if self._path is not None:
            hand, fixture = self._measured.hand, self._measured.fixture
            self._measured = Reading(*self._path.place(EVERYONE, hand, fixture))

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Place the hand in its nominal pose and the object at an angle, rad, both at rest.

        Time advances by PLACING_TIME.
        """
        rows = np.arange(self.num_envs) if robots is None else robots
        self._place(rows, object_angle)
        self._time_ns[rows] += round(PLACING_TIME * NS_PER_S)
        reading = self._reading(rows)
        if self._path is not None:
            reading = Reading(*self._path.place(rows, reading.hand, reading.fixture))
            self._measured = batching.put(self._measured, rows, reading)
        return reading

    def _place(self, rows: IntArray, object_angle: float | Array) -> None:
        self.batch.reset(ids=rows)
        self._qpos[np.ix_(rows, self._qpos_at[:-1])] = self._rest
        if self._pressure is not None:
            self._pressure[rows] = self.hand.nominal
        self._qpos[rows, self._qpos_at[-1]] = self.fixture.per_rad * np.asarray(object_angle)
        self._ctrl[rows, : self._n] = self.hand.nominal
        self._ctrl[rows, self._n] = object_angle
        if self._history is not None:  # as if the first command had always held
            self._history[np.ix_(rows, self._remembered.ravel())] = np.repeat(
                self.hand.nominal, self._remembered.shape[1]
            )

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
        most = self._limit if len(self._limit) == 1 else self._limit[rows]
        limit = np.minimum(hand.effort, most[:, : self._n])
        if self._pressure is not None:  # a chamber has at most the pressure of its supply
            hand = Command(np.minimum(hand.q, limit), hand.effort)
        if self._path is None:
            self._ctrl[rows, : self._n] = hand.q
        else:
            self._send(self._path, hand, rows)
        self._force_range[rows, : self._n, 0] = -limit
        self._force_range[rows, : self._n, 1] = limit
        if fixture is None:
            self._force_range[rows, self._n] = 0.0
        else:
            self._ctrl[rows, self._n] = fixture.q[:, 0]
            push = np.minimum(fixture.effort[:, 0], most[:, self._n])
            self._force_range[rows, self._n, 0] = -push
            self._force_range[rows, self._n, 1] = push
        self.batch.step(ids=robots, nstep=substeps)
        self._time_ns[rows] += round(period * NS_PER_S)
        if self.batch.warning.any() and self.batch.warning[:, UNSTABLE].any():
            sick = np.flatnonzero(self.batch.warning[:, UNSTABLE].any(axis=1))
            raise StationFault(f"the simulation of robots {sick.tolist()} became unstable")
        reading = self._reading(rows)
        if self._path is None:
            return reading
        reading = Reading(*self._path.measure(reading.hand, reading.fixture, rows))
        self._measured = (
            reading if robots is None else batching.put(self._measured, robots, reading)
        )
        return reading

    def read(self) -> Reading:
        """Return the newest reading of all robots."""
        return self._reading(EVERYONE) if self._path is None else self._measured

    @property
    def state(self) -> Array:
        """See `handlab_core.hardware.backend.Restorable`.

        The solver starts from the last accelerations.
        """
        return np.concatenate([array.reshape(self.num_envs, -1) for array in self._state], axis=1)

    def restore(self, state: Array, stamp: float) -> None:
        """See `Restorable.restore`."""
        sizes = [array[0].size for array in self._state]
        if state.shape != (self.num_envs, sum(sizes)):
            raise ValueError(
                f"the state has shape {state.shape}, not {(self.num_envs, sum(sizes))}"
            )
        parts = np.split(state, np.cumsum(sizes)[:-1], axis=1)
        for array, part in zip(self._state, parts, strict=True):
            array[:] = part.reshape(array.shape)
        self._time_ns[:] = round(stamp * NS_PER_S)

    @property
    def sprung(self) -> Array:
        """Return the angles of joints on springs, (N, s) rad; real stations do not measure them.

        The links of a soft hand are among them.
        """
        sprung: Array = self._qpos[:, self._sprung_at]
        return sprung

    def guide(self, q: Array, stiffness: Array, robots: IntArray | None = None) -> None:
        """See `handlab_core.hardware.backend.Guidable`; implemented by MuJoCo's joint springs.

        Raises:
            StationFault: the hand is soft; nothing measures how its fingers are led.
        """
        if self._pressure is not None:
            raise StationFault(
                f"the {self.hand.name} hand cannot be led: no sensor measures the shape of its "
                "fingers; record a policy or a gait instead"
            )
        rows = EVERYONE if robots is None else robots
        if self._springs is None:
            self._springs = self.batch.expand("jnt_stiffness"), self.batch.expand("qpos_spring")
        stiffnesses, rest = self._springs
        joints = np.arange(self.num_envs)[rows][:, None], self._joint_at[None, :-1]
        stiffnesses[joints] = stiffness
        rest[np.arange(self.num_envs)[rows][:, None], self._qpos_at[None, :-1]] = q

    def close(self) -> None:
        """Do nothing; the simulation holds no external resources."""

    def _send(self, path: SignalPath, hand: Command, rows: IntArray | slice) -> None:
        """Set targets as they arrive, and the delays until they hold."""
        target, delay = path.command(hand, rows)
        self._ctrl[rows, : self._n] = target
        if self._delays is not None:
            self._delays[rows, : self._n] = np.minimum(delay, LONGEST_DELAY)

    def _angles(self, rows: IntArray | slice) -> tuple[Array, Array]:
        """Return angles, rad, and velocities, rad/s, of hand and object; pressures in bar."""
        if self._pressure is not None and self._pressure_rate is not None:
            air, rate = self._pressure[rows], self._pressure_rate[rows]
            turned = self._qpos[rows].take(self._qpos_at[-1:], axis=1)
            speed = self._qvel[rows].take(self._qvel_at[-1:], axis=1)
            q, qd = np.concatenate((air, turned), axis=1), np.concatenate((rate, speed), axis=1)
        else:
            q = self._qpos[rows].take(self._qpos_at, axis=1)
            qd = self._qvel[rows].take(self._qvel_at, axis=1)
        if self.fixture.travel is not None:
            q[:, -1] /= self.fixture.travel
            qd[:, -1] /= self.fixture.travel
        return q, qd

    def _reading(self, rows: IntArray | slice) -> Reading:
        stamp = self._time_ns[rows] / NS_PER_S
        q, qd = self._angles(rows)
        force = self._force[rows, : self._n + 1].copy()
        return Reading(
            hand=JointState(stamp, q[:, :-1], qd[:, :-1], force[:, :-1]),
            fixture=JointState(stamp, q[:, -1:], qd[:, -1:], force[:, -1:]),
        )


def _history_values(model: mujoco.MjModel, count: int) -> IntArray:
    """Return the places of past targets in the history, (count, samples), of the first actuators.

    An actuator's history has two numbers of its own, then times, then targets.
    """
    samples = int(model.actuator_history[0, 0])
    first = model.actuator_historyadr[:count] + 2 + samples
    places: IntArray = first[:, None] + np.arange(samples)
    return places


def make_backend(
    hand: str,
    fixture: str,
    num_envs: int = 1,
    threads: int = 1,
    worlds: Sequence[World] | None = None,
    after: float | None = None,
    make_batch: MakeBatch = Batch,
) -> MujocoBackend:
    """Build a backend by the names of hand and object; see `MujocoBackend` for the arguments."""
    return MujocoBackend(
        make_hand(hand), FIXTURES.make(fixture), num_envs, threads, worlds=worlds, after=after,
        make_batch=make_batch,
    )  # fmt: skip


def make_gpu_backend(device: str = GPU, **arguments: Any) -> MujocoBackend:
    """Build a backend whose robots are simulated on a graphics card.

    Args:
        device: name of the device in Warp.
        **arguments: those of `make_backend`; the threads compute constants of the models.

    Raises:
        BadConfig: MuJoCo Warp is not installed, or there is no such device.
    """
    return make_backend(**arguments, make_batch=partial(WarpBatch, device=device))
