"""A soft hand of seven air chambers, after the RBO Hand 2 (Deimel and Brock, IJRR 2016).

Four fingers and the thumb are rubber chambers that curl; two more in the palm, one behind the
other, carry the thumb and bring it under the fingers. No public model of that hand exists: this one
is made from its outer dimensions. urdf/SOURCE.md gives the origin of each number.
"""

import numpy as np

from handlab_core.hands.hand import HANDS, Hand
from handlab_core.hands.pneumatics import Chamber, Pneumatics
from handlab_core.hands.servo import make_servos

FINGERS = ("index", "middle", "ring", "little")
PALM = ("palm_inner", "palm_outer")
CHAMBERS = (*FINGERS, *PALM, "thumb")

LINKS = dict.fromkeys(FINGERS, 8) | dict.fromkeys(PALM, 3) | {"thumb": 6}
"""Number of moving links of each chain."""

TIME_CONSTANT = 0.02
"""s; of a pressure behind its valve; Kumar, Todorov and Levine, ICRA 2016."""
MAX_PRESSURE = 0.8  # bar; supply of the RBO Hand 2
MAX_RATE = 8.0  # bar/s; chosen: a valve may go from closed to open in one control period

MOMENT = 0.17
"""N m/bar; bending moment of a finger's chamber: a section of 2.1 cm2, 8 mm above the layer that
does not stretch; chosen."""
CURL = {"finger": np.pi, "palm": np.pi / 3, "thumb": 0.8 * np.pi}
"""rad; angle of a whole chain at the largest pressure in free air; chosen."""
PALM_MOMENT = 2 * MOMENT  # N m/bar; chosen: the wider chambers of the palm carry the thumb

NEAR = 4
"""Links of one chain that are nearer than this many links overlap at rest."""


def _chain(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(LINKS[name]))


def _chamber(name: str) -> Chamber:
    """Return a chamber whose chain bends by its CURL at the largest pressure."""
    kind = "finger" if name in FINGERS else "palm" if name in PALM else "thumb"
    moment = PALM_MOMENT if kind == "palm" else MOMENT
    stiffness = moment * MAX_PRESSURE * LINKS[name] / CURL[kind]
    return Chamber(_chain(name), moment, stiffness)


def _overlapping() -> tuple[tuple[str, str], ...]:
    """Return the pairs of links without contact: near ones of a chain, and all around the palm."""
    pairs = []
    thumb = sum((_chain(name) for name in (*PALM, "thumb")), ())
    for chain in (*(_chain(name) for name in FINGERS), thumb):
        pairs += [(one, other) for i, one in enumerate(chain) for other in chain[i + 2 : i + NEAR]]
        pairs += [("soft_base", link) for link in chain[1:2]]
    pairs += [("soft_base", link) for link in thumb[2:6]]
    return tuple((f"{one}_link" if one != "soft_base" else one, f"{other}_link")
                 for one, other in pairs)  # fmt: skip


@HANDS.register
def soft() -> Hand:
    """Build the soft hand."""
    n = len(CHAMBERS)
    return Hand(
        name="soft",
        urdf="soft/soft.urdf.xacro",
        joints=CHAMBERS,
        lower=np.zeros(n),
        upper=np.full(n, MAX_PRESSURE),
        nominal=np.zeros(n),
        max_rate=np.full(n, MAX_RATE),
        max_effort=np.full(n, MAX_PRESSURE),
        servos=make_servos("valve", n),
        fingertips=tuple(f"{name}_tip" for name in (*FINGERS, "thumb")),
        release=CHAMBERS,
        disentangle=(tuple((name, 0.0) for name in CHAMBERS),),
        overlapping=_overlapping(),
        pneumatics=Pneumatics(tuple(map(_chamber, CHAMBERS)), TIME_CONSTANT),
    )
