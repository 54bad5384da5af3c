"""The LEAP hand, right: three fingers and a thumb of four Dynamixel servos (arXiv:2309.06440)."""

import numpy as np

from handlab_core.hands.hand import HANDS, Hand
from handlab_core.hands.servo import make_servos

LONG = ("ff", "mf", "rf")
FINGERS = tuple(tuple(f"{finger}j{i}" for i in range(4)) for finger in (*LONG, "th"))
"""Index, middle, ring finger and thumb, each from the palm to the tip. A finger: bend, sideways,
bend, bend. The thumb: across the palm, about its axis, bend, bend."""

# rad; joint limits; MuJoCo Menagerie's leap_hand/right_hand.xml
LOWER = (-0.314, -1.047, -0.506, -0.366) * 3 + (-0.349, -0.349, -0.47, -1.34)
UPPER = (2.23, 1.047, 1.885, 2.042) * 3 + (2.094, 2.094, 2.443, 1.88)
# rad; commanded range; chosen: within the limits, without poses in which fingers cross
COMMANDED_LOWER = (-0.2, -0.35, -0.4, -0.3) * 3 + (0.2, -0.2, -0.4, -0.6)
COMMANDED_UPPER = (1.6, 0.35, 1.6, 1.6) * 3 + (1.9, 1.6, 1.4, 1.6)
HOME = (0.35, 0.0, 0.7, 0.5) * 3 + (0.7, 0.4, 0.3, 0.3)  # rad; chosen: half closed, nothing touches

SERVO = "leap"  # servo type of all joints
MAX_RATE = 4.2  # rad/s; half of the no-load speed, 81 rpm; XC330-M288 e-manual


@HANDS.register
def leap() -> Hand:
    """Build the LEAP hand."""
    servos = make_servos(SERVO, 16)
    home = dict(zip(sum(FINGERS, ()), HOME, strict=True))
    return Hand(
        name="leap",
        urdf="leap/leap.urdf.xacro",
        joints=sum(FINGERS, ()),
        lower=np.array(COMMANDED_LOWER),
        upper=np.array(COMMANDED_UPPER),
        nominal=np.array(HOME),
        max_rate=np.full(16, MAX_RATE),
        max_effort=servos.torque_limit.copy(),
        servos=servos,
        fingertips=("ff_tip", "mf_tip", "rf_tip", "th_tip"),
        # Released sideways joints yield to the object; the other joints lift the fingers off it.
        release=tuple(finger[1] for finger in FINGERS[:3]),
        disentangle=(
            tuple((joint, 0.0) for finger in FINGERS[:3] for joint in finger),
            tuple((joint, home[joint]) for joint in FINGERS[3]),
            tuple((joint, home[joint]) for finger in FINGERS[:3] for joint in finger),
        ),
        # As in MuJoCo Menagerie: the palm's simplified boxes reach into the first links.
        overlapping=(
            *(("palm", f"{finger}_{link}") for finger in LONG for link in ("proximal", "medial")),
            ("palm", "th_axial"),
            ("palm", "th_proximal"),
            ("ff_base", "mf_base"),
            ("mf_base", "rf_base"),
        ),
    )
