"""Torque-driven simulation of a station, the physics of an emulated Allegro hand.

Bodies, contacts and limits are those of `MujocoBackend`. Controllers are outside the simulation.
"""

from dataclasses import replace

import mujoco
import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array
from handlab_core.worlds.world import World
from handlab_sim.scene import SceneConfig, steps_in
from handlab_sim.varied import Shape, Variant

TIMESTEP = 0.001
"""s; step of the simulation, a third of the torque period of an Allegro hand."""


class TorqueWorld:
    """Simulation of one station with torque actuators; implements `allegro.physics.TorquePhysics`.

    Of a world's servos, gain over described gain is the strength of a motor: the torque that it has
    for a commanded 1 N m. Backlash and supply belong to position loops, and are not used.

    Args:
        hand: the hand, which starts in its nominal pose.
        fixture: fixture below the hand.
        config: simulation parameters; None: the defaults with the step TIMESTEP.
        world: parameters of motors, bodies, contacts and encoders; None: those of the descriptions.
    """

    def __init__(
        self,
        hand: Hand,
        fixture: Fixture,
        config: SceneConfig | None = None,
        world: World | None = None,
    ) -> None:
        config = config or replace(SceneConfig(), timestep=TIMESTEP)
        if hand.pneumatics is not None:
            raise BadConfig(f"the chambers of the {hand.name} hand have no torques to drive")
        world = world or World(hand.servos)
        servos, signals = world.servos, world.signals
        self.model = Variant(hand, fixture, config, Shape.of(world)).set(world)
        joints = [self.model.joint(name) for name in (*hand.joints, fixture.joint)]
        for name in (*hand.joints, fixture.joint):
            self._make_motor(self.model.actuator(name).id)
        if self.model.nhistory:
            self.model.actuator_delay[: hand.n] = servos.delay
        self._strength, self._zero = servos.stiffness / hand.servos.stiffness, servos.zero
        self._latency = signals.latency
        self._noise = signals.noise * (hand.upper - hand.lower)
        self._rng = np.random.default_rng(signals.stream)
        self.data = mujoco.MjData(self.model)
        self._q_at = np.array([joint.qposadr[0] for joint in joints])
        self._qd_at = np.array([joint.dofadr[0] for joint in joints])
        self._per_rad = fixture.per_rad
        self._object = self.model.actuator(fixture.joint).id
        self.data.qpos[self._q_at[:-1]] = hand.nominal
        mujoco.mj_forward(self.model, self.data)

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """Apply torques, (n,) N m, to the hand for a time, s, within the limits of the joints.

        Returns:
            Measured angles, rad, and velocities, rad/s, of the hand's joints, (n,) each.

        Raises:
            BadConfig: the time is not a whole number of the simulation's steps.
        """
        steps = steps_in(dt, self.model.opt.timestep)
        self.data.ctrl[: len(torque)] = self._strength * torque
        mujoco.mj_step(self.model, self.data, steps)
        qd = self.data.qvel[self._qd_at[:-1]].copy()
        q = self.data.qpos[self._q_at[:-1]] + self._zero - self._latency * qd
        if self._noise.any():
            q = q + self._noise * (self._rng.random(len(q)) - 0.5)
        return q, qd

    def drive_object(self, torque: float) -> None:
        """Set the torque of the fixture's motor, N m, until the next call."""
        self.data.ctrl[self._object] = torque

    @property
    def object_angle(self) -> float:
        """Return the angle of the object, rad."""
        return float(self.data.qpos[self._q_at[-1]]) / self._per_rad

    @property
    def object_velocity(self) -> float:
        """Return the velocity of the object, rad/s."""
        return float(self.data.qvel[self._qd_at[-1]]) / self._per_rad

    def _make_motor(self, actuator: int) -> None:
        """Turn a position actuator into a motor: its control is its torque; the limit stays."""
        model = self.model
        model.actuator_gainprm[actuator], model.actuator_biasprm[actuator] = 0.0, 0.0
        model.actuator_gainprm[actuator, 0] = 1.0
