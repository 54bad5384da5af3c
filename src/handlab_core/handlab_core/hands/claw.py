"""The Dynamixel claw: three fingers of three servos (D'Claw, arXiv:1909.11639)."""

import numpy as np

from handlab_core.hands.hand import HANDS, Hand
from handlab_core.hands.servo import make_servos

FINGERS = (("FFJ10", "FFJ11", "FFJ12"), ("MFJ20", "MFJ21", "MFJ22"), ("THJ30", "THJ31", "THJ32"))
"""Top, middle and bottom joint of first finger, middle finger and thumb; names as in ROBEL."""

TOP, MIDDLE, BOTTOM = (tuple(finger[i] for finger in FINGERS) for i in range(3))

RANGE = (
    0.48,
    np.pi / 3,
    np.pi / 2,
)  # rad; half range of each joint; robel/dclaw/base_env.py @ 5b0fd37
NOMINAL = (0.0, -np.pi / 3, np.pi / 3)  # rad; reset pose; robel/dclaw/turn.py
DISENTANGLE_TOP = np.pi / 4  # rad; the clamp limits it to RANGE; robel/dclaw/scripted_reset.py
MAX_RATE = 2 * np.pi / 3 * 2  # rad/s; half of the no-load speed, 77 rpm; XM430-W210 e-manual
MAX_EFFORT = 3.0  # N m; stall torque at 12 V; XM430-W210 e-manual
SERVO = "robel"  # servo type of all joints


@HANDS.register
def claw() -> Hand:
    """Build the claw."""
    return Hand(
        name="claw",
        urdf="claw/claw.urdf.xacro",
        joints=sum(FINGERS, ()),
        lower=np.tile(np.negative(RANGE), 3),
        upper=np.tile(RANGE, 3),
        nominal=np.tile(NOMINAL, 3),
        max_rate=np.full(9, MAX_RATE),
        max_effort=np.full(9, MAX_EFFORT),
        servos=make_servos(SERVO, 9),
        fingertips=("first_tip", "middle_tip", "thumb_tip"),
        alike=FINGERS,
        release=TOP + BOTTOM,
        disentangle=(
            tuple((joint, DISENTANGLE_TOP) for joint in TOP),
            tuple((joint, NOMINAL[1]) for joint in MIDDLE),
            tuple((joint, NOMINAL[2]) for joint in BOTTOM),
        ),
    )
