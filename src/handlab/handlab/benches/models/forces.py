"""Estimated forces at the fingertips beside the contact forces of a simulation."""

from dataclasses import dataclass

import mujoco
import numpy as np

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.graph.config import station_description
from handlab_core.hands import Hand
from handlab_core.hands.fingertip_force import FingertipForces, dry_friction
from handlab_core.hands.kinematics import KinematicTree
from handlab_core.tasks import make_task
from handlab_core.types import Array
from handlab_sim.scene import SceneConfig, build_spec

TASKS = ("valve", "allegro_valve", "leap_valve")
"""A task of each hand whose joints have torques; the first one's figure is the bench's."""

LIMIT = 0.25
"""Fraction of the force by which half of the estimates may be off."""

PRESSES = 40
"""Poses into which each hand moves, against an object that is held."""

TIMESTEP, MOVE, SETTLE = 0.002, 500, 1000
"""s; steps in which the targets move, steps until the hand is at rest."""

LEAST = 0.5
"""N; smaller contact forces are left out."""


@dataclass
class _Press:
    """A simulated hand that presses on its object."""

    hand: Hand
    model: mujoco.MjModel

    def __post_init__(self) -> None:
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in self.hand.joints]
        self._q_at = [joint.qposadr[0] for joint in joints]
        self._qd_at = [joint.dofadr[0] for joint in joints]
        bodies = [self.model.body(name) for name in self.hand.fingertips]
        self._bodies = [{tip.id, int(tip.parentid[0])} for tip in bodies]

    def move(self, target: Array) -> None:
        """Move from the nominal pose to targets, rad, and wait until the hand is at rest."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._q_at] = nominal = self.hand.nominal
        for step in range(MOVE + SETTLE):
            share = min(1.0, step / MOVE)
            self.data.ctrl[: self.hand.n] = nominal + share * (target - nominal)
            mujoco.mj_step(self.model, self.data)

    def errors(self, forces: FingertipForces) -> list[tuple[float, float]]:
        """Return contact force and error of the estimate, N, of each finger that pushes."""
        exerted = self._exerted()
        q, n = self.data.qpos[self._q_at].tolist(), self.hand.n
        found = forces.estimate(
            dict(zip(self.hand.joints, q, strict=True)), self.data.qvel[self._qd_at],
            self.data.actuator_force[:n], dry_friction(self.hand, True),
        )  # fmt: skip
        sizes = np.linalg.norm(exerted, axis=1)
        off = np.linalg.norm(np.array([force.force for force in found]) - exerted, axis=1)
        pairs = zip(sizes.tolist(), off.tolist(), strict=True)
        return [(size, error) for size, error in pairs if size > LEAST]

    def _exerted(self) -> Array:
        """Return the sum of the contact forces that each fingertip exerts, (tips, 3) N."""
        total, wrench = np.zeros((len(self._bodies), 3)), np.zeros(6)
        for number, contact in enumerate(self.data.contact):
            mujoco.mj_contactForce(self.model, self.data, number, wrench)
            force = contact.frame.reshape(3, 3).T @ wrench[:3]  # from the first geom to the second
            for geom, sign in ((contact.geom1, 1.0), (contact.geom2, -1.0)):
                body = int(self.model.geom_bodyid[geom])
                for tip, bodies in enumerate(self._bodies):
                    total[tip] += sign * force * (body in bodies)
        return total


def measure(seed: int, presses: int = PRESSES) -> Result:
    """Press each hand on its object in random poses; compare the forces at rest."""
    rows = {name: _measure(name, seed, presses) for name in TASKS}
    return Result(rows[TASKS[0]]["median"], LIMIT, "of the force", {"hands": rows, "seed": seed})


def _measure(name: str, seed: int, presses: int) -> dict[str, float]:
    task, rng = make_task(name), np.random.default_rng(seed)
    config = SceneConfig(timestep=TIMESTEP)
    press = _Press(task.hand, build_spec(task.hand, task.fixture, config).compile())
    forces = FingertipForces(KinematicTree(station_description(name)), task.hand)
    pairs = list[tuple[float, float]]()
    for _ in range(presses):
        press.move(rng.uniform(task.hand.lower, task.hand.upper))
        pairs += press.errors(forces)
    size, error = np.array(pairs).T
    return {
        "median": float(np.median(error / size)),
        "within_90": float(np.quantile(error / size, 0.9)),
        "contacts": len(pairs),
        "force_median_N": float(np.median(size)),
    }


def _cell(result: Kept) -> str:
    parts = [
        f"`{name}` **{row['median']:.0%}** (nine of ten {row['within_90']:.0%}; "
        f"{row['contacts']} contacts of {row['force_median_N']:.1f} N in the median)"
        for name, row in result["hands"].items()
    ]
    return ", ".join(parts)


BENCH = Bench(
    measure,
    figure=Figure(
        "forces at the fingertips, estimated from the joints' efforts, beside the contact forces "
        "of the simulation at rest: error in the median, of the force",
        "at most 25 %",
        _cell,
    ),
)
