"""Torque-driven simulation of a station, the physics of an emulated Allegro hand.

Bodies, contacts and limits are those of `MujocoBackend`. Controllers are outside the simulation.
"""

from dataclasses import replace

import mujoco
import numpy as np

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array
from handlab_sim.scene import SceneConfig, build_spec, steps_in

TIMESTEP = 0.001
"""s; step of the simulation, a third of the torque period of an Allegro hand."""


class TorqueWorld:
    """Simulation of one station with torque actuators; implements `allegro.physics.TorquePhysics`.

    Args:
        hand: the hand, which starts in its nominal pose.
        fixture: fixture below the hand.
        config: simulation parameters; None: the defaults with the step TIMESTEP.
    """

    def __init__(self, hand: Hand, fixture: Fixture, config: SceneConfig | None = None) -> None:
        config = config or replace(SceneConfig(), timestep=TIMESTEP)
        spec = build_spec(hand, fixture, config)
        for joint in (*hand.joints, fixture.joint):
            spec.actuator(joint).set_to_motor()
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in (*hand.joints, fixture.joint)]
        self._q_at = np.array([joint.qposadr[0] for joint in joints])
        self._qd_at = np.array([joint.dofadr[0] for joint in joints])
        self._object = self.model.actuator(fixture.joint).id
        self.data.qpos[self._q_at[:-1]] = hand.nominal
        mujoco.mj_forward(self.model, self.data)

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """Apply torques, (n,) N m, to the hand for a time, s, within the limits of the joints.

        Returns:
            Angles, rad, and velocities, rad/s, of the hand's joints, (n,) each.

        Raises:
            BadConfig: the time is not a whole number of the simulation's steps.
        """
        steps = steps_in(dt, self.model.opt.timestep)
        self.data.ctrl[: len(torque)] = torque
        mujoco.mj_step(self.model, self.data, steps)
        q, qd = self.data.qpos[self._q_at[:-1]], self.data.qvel[self._qd_at[:-1]]
        return q.copy(), qd.copy()

    def drive_object(self, torque: float) -> None:
        """Set the torque of the fixture's motor, N m, until the next call."""
        self.data.ctrl[self._object] = torque

    @property
    def object_angle(self) -> float:
        """Return the angle of the object, rad."""
        return float(self.data.qpos[self._q_at[-1]])

    @property
    def object_velocity(self) -> float:
        """Return the velocity of the object, rad/s."""
        return float(self.data.qvel[self._qd_at[-1]])
