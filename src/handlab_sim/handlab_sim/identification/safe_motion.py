"""A safe place for the motion of an identification."""

import mujoco
import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array
from handlab_sim.scene import SceneConfig, build_spec

MARGIN = 0.003  # m; distance that a safe motion keeps
POSES = 200  # random poses by which a motion is judged
PARTS, CENTRES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15), 60
"""Parts of the wanted amplitude that are tried, and number of centres for each."""


def safe_motion(
    hand: Hand, fixture: Fixture, wanted: Array, object_angle: float
) -> tuple[Array, Array]:
    """Return a centre, (n,) rad, and amplitudes, (n,) rad, of a motion that touches nothing.

    Args:
        hand: the hand.
        fixture: fixture below it.
        wanted: (n,) rad; largest amplitudes.
        object_angle: rad; angle at which the object stands.

    Raises:
        BadConfig: no such motion was found.
    """
    spec = build_spec(hand, fixture, SceneConfig())
    for geom in spec.geoms:
        geom.margin = MARGIN
    model = spec.compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    at = np.array([model.joint(name).qposadr[0] for name in hand.joints])
    data.qpos[model.joint(fixture.joint).qposadr[0]] = object_angle

    def touches(q: Array) -> bool:
        data.qpos[at] = q
        mujoco.mj_fwdPosition(model, data)
        return bool(data.ncon)

    middle = (hand.lower + hand.upper) / 2
    for part in PARTS:
        amplitude = np.minimum(wanted, 0.45 * (hand.upper - hand.lower)) * part
        for _ in range(CENTRES):
            toward, shift = rng.random(), rng.uniform(-1.5, 1.5, hand.n)
            centre = hand.nominal + toward * (middle - hand.nominal) + shift * amplitude
            centre = np.clip(centre, hand.lower + amplitude, hand.upper - amplitude)
            path = (hand.nominal + k * (centre - hand.nominal) for k in np.linspace(0, 1, 9))
            poses = (centre + amplitude * rng.uniform(-1, 1, hand.n) for _ in range(POSES))
            if not any(map(touches, path)) and not any(map(touches, poses)):
                return centre, amplitude
    raise BadConfig(
        f"the hand {hand.name} has no room to move above {fixture.name}, which stands at "
        f"{object_angle:.2f} rad; turn the object, or take it away"
    )
