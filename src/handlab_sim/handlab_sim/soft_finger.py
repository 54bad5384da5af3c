"""A single soft finger: where its tip goes under pressure, beside a finger that was measured.

The model is that of the soft hand's fingers, `handlab_core.hands.pneumatics`: a chain of links on
springs that stiffen. Two numbers describe a finger: the angle by which the first pressure bends it,
and how much its rubber stiffens. `fit_finger` finds them from tip positions.

TIPS are of a silicone finger with three chambers, of which one is inflated: the table of pressures
and tip positions of the data set SoftManipulator_sim2real (Hong, Lee, Song and Park, "Bridging
high-fidelity simulations and physics-based learning using a surrogate model for soft robot
control", Advanced Intelligent Systems, 2025), file Pressure_vs_Pos.csv @ 7206191. The authors use
it as the positions of the real robot; its columns bear the name of a prediction, thus they are
likely to be smoothed. The recordings of the motion capture behind it could not be had.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco import minimize

from handlab_core.hands.pneumatics import Chamber
from handlab_core.types import Array
from handlab_sim.scene import add_chain

LENGTH = 0.19  # m; from the root of the measured finger to its tip, without pressure
LINKS = 8  # links of the model; as a finger of the soft hand

PRESSURES = np.arange(0.0, 0.35, 0.02)  # bar; of one chamber, the other two are at 0
TIPS = 1e-3 * np.array([
    (-0.58, 190.64), (-3.58, 191.16), (-6.70, 191.75), (-9.67, 192.30), (-12.43, 192.82),
    (-15.32, 193.16), (-17.35, 193.54), (-19.24, 193.86), (-21.13, 194.08), (-22.82, 194.25),
    (-24.36, 194.34), (-25.96, 194.33), (-27.38, 194.24), (-28.69, 193.99), (-29.63, 193.54),
    (-30.53, 193.06), (-31.43, 192.56), (-32.35, 192.03),
])  # fmt: skip
"""m; position of the tip across and along the finger, for each of PRESSURES."""

MASS, DAMPING, SETTLING = 0.002, 0.02, 6.0
"""kg, N m s/rad, s; of a link, of its joint, and of the motion to a rest; they move no rest."""

START = np.log([0.1, 1.0])
"""Logarithms of gain and stiffening at which a fit begins."""

SEARCHED = START - 8.0, START + 8.0
"""Lower and upper bounds of a fit. Farther away the angle of a finger overflows."""


def finger_tips(chamber: Chamber, length: float, pressures: Sequence[float] | Array) -> Array:
    """Return where the tip comes to rest without gravity, across and along, (len(pressures), 2) m.

    Args:
        chamber: the chamber and the number of links.
        length: m; from root to tip.
        pressures: bar.
    """
    spec = mujoco.MjSpec()
    spec.option.gravity = [0.0, 0.0, 0.0]
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.timestep = 0.005
    piece, body = length / len(chamber.chain), spec.worldbody
    for i, name in enumerate(chamber.chain):
        # The joint is in the middle of the piece that it bends.
        body = body.add_body(name=name, pos=[0.0, 0.0, piece if i else piece / 2])
        joint = body.add_joint(name=name, axis=[0.0, -1.0, 0.0])
        joint.damping[0] = DAMPING
        own = piece if i + 1 < len(chamber.chain) else piece / 2
        geom = body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE, mass=MASS, contype=0, conaffinity=0
        )
        geom.fromto, geom.size[0] = [0.0, 0.0, 0.0, 0.0, 0.0, own], piece / 3
    add_chain(spec, "air", chamber)
    body.add_site(name="tip", pos=[0.0, 0.0, piece / 2])
    air = spec.add_actuator(name="air", target="air", trntype=mujoco.mjtTrn.mjTRN_TENDON)
    air.gainprm[0] = 1.0
    model, tips = spec.compile(), []
    for pressure in pressures:
        data = mujoco.MjData(model)
        data.ctrl[0] = pressure
        mujoco.mj_step(model, data, round(SETTLING / model.opt.timestep))
        tips.append(data.site("tip").xpos[[0, 2]].copy())
    return np.array(tips)


def fit_finger(pressures: Array, tips: Array, length: float) -> Chamber:
    """Fit a chamber to tip positions; its stiffness is 1 N m/rad, as only ratios matter.

    Args:
        pressures: bar.
        tips: (len(pressures), 2) m; across and along the finger.
        length: m; from root to tip.
    """

    def made(values: Array) -> Chamber:
        gain, stiffening = np.exp(values)
        return Chamber(CHAIN, float(gain), 1.0, float(stiffening))

    def left(candidates: Array) -> Array:
        """Return the errors of the tips, (2 len(pressures), C), of candidates (2, C)."""
        fingers = [made(values) for values in candidates.T]
        angles = [[finger.angle(pressure) for pressure in pressures] for finger in fingers]
        return np.stack([(arc(np.array(each), length) - tips).ravel() for each in angles], axis=1)

    found, _ = minimize.least_squares(START, left, bounds=SEARCHED, verbose=0)
    return made(found)


CHAIN = tuple(f"link_{i}" for i in range(LINKS))


def arc(angle: Array, length: float) -> Array:
    """Return the tip of a chain all of whose joints have the same angle [rad], (..., 2) m."""
    piece = length / LINKS
    turned = -angle[..., None] * np.arange(LINKS + 1)
    lengths = piece * np.array([0.5, *[1.0] * (LINKS - 1), 0.5])
    tip: Array = np.stack([np.sin(turned) @ lengths, np.cos(turned) @ lengths], axis=-1)
    return tip
