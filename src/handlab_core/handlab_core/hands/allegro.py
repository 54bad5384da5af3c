"""The Allegro hand of Wonik, right: three fingers and a thumb of four joints."""

from dataclasses import replace

import numpy as np

from handlab_core.hands.hand import HANDS, Hand
from handlab_core.hands.servo import make_servos

FINGERS = tuple(tuple(f"{finger}j{i}" for i in range(4)) for finger in ("ff", "mf", "rf", "th"))
"""Index, middle, ring finger and thumb, each from the palm to the tip; names of MuJoCo Menagerie.
They are the joints 0 to 15 of the vendor's V4 protocol, in this order."""

INDEX, MIDDLE, RING, THUMB = FINGERS
LONG_FINGERS = (INDEX, MIDDLE, RING)

# rad; joint limits; vendor's URDF of V3 and V4, repeated in MuJoCo Menagerie's wonik_allegro
LOWER = (-0.47, -0.196, -0.174, -0.227) * 3 + (0.263, -0.105, -0.189, -0.162)
UPPER = (0.47, 1.61, 1.709, 1.618) * 3 + (1.396, 1.163, 1.644, 1.719)
# degrees; home pose; vendor
HOME = (0, -10, 45, 45, 0, -10, 45, 45, 5, -5, 50, 45, 60, 25, 15, 45)

FULL_PWM = 1200
"""Counts; full range at 12 V; TORQUE2PWM in v4_spec.hpp, wilson-ko/allegro_hand_ros2."""
FULL_TORQUE = 0.7
"""N m; torque at FULL_PWM. Chosen: the largest torque that is commonly quoted for a joint of this
hand. The vendor publishes no torque per count, and the hand does not measure torque."""
PWM_CLIP = (375, 675, 450, 285) * 3 + (525, 405, 270, 270)
"""Counts; limits of the vendor's driver; PWM_LIMIT_* in v4_spec.hpp."""
PWM_STIFFNESS = (4000,) * 16
PWM_DAMPING = (150, 200, 150, 150) * 3 + (300, 200, 200, 150)
"""Counts per rad and per rad/s; PD gains; gains_pd.yaml of the vendor's V4 ROS driver."""
MAX_RATE = 3.5  # rad/s; half of the velocity limit in the vendor's URDF

STRAIGHT = 0.0  # rad
SIDE = "right"
"""Side of the hand that is described here and in urdf/allegro."""


@HANDS.register
def allegro() -> Hand:
    """Build the Allegro hand."""
    torque = FULL_TORQUE / FULL_PWM
    home = dict(zip(sum(FINGERS, ()), np.deg2rad(HOME).tolist(), strict=True))
    return Hand(
        name="allegro",
        urdf="allegro/allegro.urdf.xacro",
        joints=sum(FINGERS, ()),
        lower=np.array(LOWER),
        upper=np.array(UPPER),
        nominal=np.deg2rad(HOME),
        max_rate=np.full(16, MAX_RATE),
        max_effort=torque * np.array(PWM_CLIP),
        servos=replace(
            make_servos("allegro", 16),
            gain=torque * np.array(PWM_STIFFNESS),
            loop_damping=torque * np.array(PWM_DAMPING),
            max_torque=torque * np.array(PWM_CLIP),
        ),
        fingertips=("ff_tip", "mf_tip", "rf_tip", "th_tip"),
        # Released sideways joints yield to the object; the other joints lift the fingers off it.
        release=tuple(finger[0] for finger in LONG_FINGERS),
        disentangle=(
            # Straight fingers leave the object upwards; then the thumb moves, then all joints.
            tuple((joint, STRAIGHT) for finger in LONG_FINGERS for joint in finger[1:]),
            tuple((joint, home[joint]) for joint in THUMB),
            tuple((joint, home[joint]) for finger in LONG_FINGERS for joint in finger),
        ),
        overlapping=(("palm", "th_proximal"),),  # as in MuJoCo Menagerie
    )
