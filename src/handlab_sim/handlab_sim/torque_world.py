"""A world whose hand is driven by torques: what stands behind an emulated hand on its bus.

Bodies, contacts and limits are those of `MujocoBackend`; the joints' controllers are outside, as
with a hand that takes torques.
"""

from dataclasses import replace

import mujoco
import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array
from handlab_sim.scene import SceneConfig, build_spec

TIMESTEP = 0.001
"""s, a third of the period in which an Allegro hand takes torques."""


class TorqueWorld:
    """One station whose motors take torques.

    Args:
        hand: the hand, in its nominal pose at first.
        fixture: the object below it.
        config: how the world behaves; its time step is TIMESTEP unless one is given.
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
        self.data.qpos[self._q_at[:-1]] = hand.nominal
        mujoco.mj_forward(self.model, self.data)

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """Apply torques [N m], (n,), to the hand for a time [s].

        They are cut to what the joints can.

        Returns:
            Angles [rad] and velocities [rad/s] of the hand's joints, (n,) each.

        Raises:
            BadConfig: the time is not a whole number of the simulation's steps.
        """
        steps = round(dt / self.model.opt.timestep)
        if steps < 1 or abs(steps * self.model.opt.timestep - dt) > 1e-9:
            raise BadConfig(f"{dt} s is not a whole number of steps of {self.model.opt.timestep} s")
        self.data.ctrl[:-1] = torque
        mujoco.mj_step(self.model, self.data, steps)
        q, qd = self.data.qpos[self._q_at[:-1]], self.data.qvel[self._qd_at[:-1]]
        return q.copy(), qd.copy()

    def drive_object(self, torque: float) -> None:
        """Let the fixture's motor push with a torque [N m] from now on."""
        self.data.ctrl[-1] = torque

    @property
    def object_angle(self) -> float:
        """Angle of the object [rad]."""
        return float(self.data.qpos[self._q_at[-1]])

    @property
    def object_velocity(self) -> float:
        """Velocity of the object [rad/s]."""
        return float(self.data.qvel[self._qd_at[-1]])
