"""Turn an object in the Adroit hand: MuJoCo environments on the model of gymnasium-robotics.

The hand is driven by its position actuators, or by pneumatic cylinders, one on each of the 40
tendons of the model. A cylinder pulls with its pressure, which follows the command of its valve:

    force = -FORCE p,    dp/dt = (valve - p) / DELAY

Pressures are shares of the supply's. All episodes begin in one grasp: position targets close the
hand around the object until both rest; cylinders begin with the pressures of the same torques.
"""

from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from typing import Any

import mujoco
import numpy as np

from handlab_core.system.optional_packages import packages_of
from handlab_core.tasks.adroit.turning import (
    JOINTS,
    PERIOD,
    POSITION,
    SPEED,
    STEPS,
    Turning,
)
from handlab_core.types import Array

with packages_of("adroit"), redirect_stderr(StringIO()):  # suppress Farama's notice about rewards
    import gymnasium_robotics
    from gymnasium import spaces

FILE = f"{gymnasium_robotics.__path__[0]}/envs/assets/adroit_hand/adroit_pen.xml"

DELAY = 0.02
"""s; time constant of a pressure; Kumar, Todorov and Levine, ICRA 2016."""

FORCE, WRIST_FORCE = 40.0, 125.0
"""N; pull of a tendon of a finger and of the wrist; Kumar, Xu and Todorov, ICRA 2013."""

STIFF = 0.3
"""Mean pressure of the grasp; chosen: room in both directions."""

GRASP = {
    "J2": 1.0, "J1": 0.6, "J0": 0.6,
    "THJ4": 0.9, "THJ3": 0.6, "THJ2": 0.0, "THJ1": -0.2, "THJ0": -0.4,
}  # fmt: skip
"""rad; targets of the grasp, for each finger and for the thumb; others are zero. Chosen: the object
lies still on the knuckles. With straighter fingers it rolls into the palm."""

REST = 1000
"""Steps of the simulation after which hand and object rest in the grasp."""

OFF = 0.01
"""rad; standard deviation of the joints' positions at the start of an episode; chosen."""

OBJECT = slice(JOINTS, JOINTS + 3)
"""Translations of the object among the positions of the model."""

CAMERA = "vil_camera"
"""Camera of the model, above the hand."""


def grasp_target(joint: str) -> float:
    """Return the target of a joint in the grasp [rad]."""
    return GRASP.get(joint, GRASP.get(joint[2:], 0.0) if joint[:2] not in ("TH", "WR") else 0.0)


def build(turning: Turning) -> Any:
    """Compile the model of a hand and an object."""
    spec = mujoco.MjSpec.from_file(FILE)
    thing = spec.geom("pen")
    thing.size[:2] = turning.radius, turning.half_length
    thing.density = turning.density
    if not turning.cap:
        for part in ("top", "bot", "cli"):
            spec.delete(spec.geom(part))
    for name, place in (("object_top", 1.0), ("object_bottom", -1.0)):
        spec.site(name).pos[2] = place * turning.half_length
    spec.delete(spec.body("target"))
    if turning.pneumatic:
        _put_cylinders(spec)
    return spec.compile()


def _put_cylinders(spec: Any) -> None:
    """Replace the position actuators by one cylinder on each tendon that is no coupling."""
    for part in [*spec.sensors, *spec.actuators]:
        if getattr(part, "objname", "A_").startswith("A_"):
            spec.delete(part)
    for tendon in spec.tendons:
        if not tendon.name.endswith("J1c"):
            cylinder = spec.add_actuator(
                name=f"C{tendon.name[1:]}", target=tendon.name, trntype=mujoco.mjtTrn.mjTRN_TENDON
            )
            cylinder.dyntype, cylinder.dynprm[0] = mujoco.mjtDyn.mjDYN_FILTER, DELAY
            cylinder.gainprm[0] = -(WRIST_FORCE if "WRJ" in tendon.name else FORCE)
            cylinder.ctrllimited, cylinder.ctrlrange = True, [0.0, 1.0]


class TurnEnv:
    """Environment with the interface of gymnasium-robotics that `AdroitWorld` uses.

    Args:
        turning: object, axis and actuators.
        render_mode: "rgb_array" or None.
    """

    def __init__(self, turning: Turning, render_mode: str | None = None) -> None:
        self.turning, self.render_mode = turning, render_mode
        self.model = build(turning)
        self.data = mujoco.MjData(self.model)
        self._range = self.model.actuator_ctrlrange.T
        self._frame = np.empty(9)
        mujoco.mju_quat2Mat(self._frame, self.model.body("Object").quat)
        self._place, self._valves, torque = rest(replace(turning, pneumatic=False))
        if turning.pneumatic:
            self._valves = pressures(self.model, self.data, torque)
        self.dt = round(PERIOD / self.model.opt.timestep) * self.model.opt.timestep
        observation, action = turning.sizes
        self.observation_space = spaces.Box(-np.inf, np.inf, (observation,))
        self.action_space = spaces.Box(-1.0, 1.0, (action,))
        self._steps, self._dropped = 0, False
        self._renderer: Any = None

    def reset(self, *, seed: int) -> tuple[Array, dict[str, bool]]:
        """Place hand and object in the grasp; the hand's joints are off by little."""
        data = self.data
        mujoco.mj_resetData(self.model, data)
        data.qpos[:] = self._place
        data.qpos[:JOINTS] += OFF * np.random.default_rng(seed).normal(size=JOINTS)
        data.ctrl[:] = self._valves
        data.act[:] = self._valves[: self.model.na]
        mujoco.mj_forward(self.model, data)
        self._steps, self._dropped = 0, False
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, bool]]:
        """Simulate one control period."""
        low, high = self._range
        ctrl = self._valves + (high - low) / 2 * np.clip(action, -1.0, 1.0)
        self.data.ctrl[:] = np.clip(ctrl, low, high)
        mujoco.mj_step(self.model, self.data, round(self.dt / self.model.opt.timestep))
        self._steps += 1
        seen = self._observation()
        self._dropped |= bool(self.turning.dropped(seen))
        late = self._steps > STEPS - STEPS // 5
        success = late and not self._dropped and bool(self.turning.turned(seen))
        reward = float(self.turning.reward(seen, np.zeros_like(seen)))
        return seen, reward, False, False, {"success": success}

    @property
    def error(self) -> float:
        """Angle of the object minus the goal [rad]."""
        return float(self.turning.error(self._observation()))

    def render(self) -> Any:
        """Return a picture (H, W, 3)."""
        self._renderer = self._renderer or mujoco.Renderer(self.model, 480, 480)
        self._renderer.update_scene(self.data, CAMERA)
        return self._renderer.render()

    def close(self) -> None:
        """Close the renderer."""
        if self._renderer is not None:
            self._renderer.close()

    def _observation(self) -> Array:
        """Return the observation; see `handlab_core.tasks.adroit.turning`."""
        q, v = self.data.qpos - self._place, self.data.qvel.copy()
        frame = self._frame.reshape(3, 3)
        q[:JOINTS] = self.data.qpos[:JOINTS]
        q[OBJECT] = frame @ q[OBJECT] / POSITION
        v[OBJECT] = frame @ v[OBJECT]
        v[:JOINTS] /= SPEED
        v[JOINTS + 3 :] /= SPEED
        q[self.turning.element] -= self.turning.goal
        return np.concatenate((q, v, self.data.act))


def rest(turning: Turning) -> tuple[Array, Array, Array]:
    """Close the hand around the object until both rest.

    Args:
        turning: with position targets.

    Returns:
        Positions (Q,), targets of the joints (24,) and their torques (24,).
    """
    model = build(turning)
    data = mujoco.MjData(model)
    joints = [model.joint(i).name for i in range(JOINTS)]
    targets = np.array([grasp_target(joint) for joint in joints])
    data.qpos[:JOINTS] = data.ctrl[:] = targets
    mujoco.mj_step(model, data, REST)
    return data.qpos.copy(), targets, data.qfrc_actuator[:JOINTS].copy()


def pressures(model: Any, data: Any, torque: Array) -> Array:
    """Return the pressures (40,) nearest to `STIFF` that make torques of the joints (24,).

    Args:
        model: of a hand with cylinders.
        data: of the model; it is overwritten.
        torque: N m; those that coupled joints cannot make are met in the least squares.
    """
    makes = np.empty((JOINTS, model.na))
    for i in range(model.na):
        data.act[:] = np.eye(model.na)[i]
        mujoco.mj_forward(model, data)
        makes[:, i] = data.qfrc_actuator[:JOINTS]
    even = np.full(model.na, STIFF)
    more = np.linalg.lstsq(makes, torque - makes @ even, rcond=None)[0]
    found: Array = np.clip(even + more, 0.0, 1.0)
    return found
