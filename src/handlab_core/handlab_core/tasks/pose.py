"""Reach a pose and follow it: the health check of any new hand (ROBEL's Pose).

| part        | what                                                                            |
|-------------|---------------------------------------------------------------------------------|
| observation | joints (n, of the commanded range), joints minus goal (n, rad), last action (n) |
| action      | joint position targets (n) in [-1, 1] of the commanded range, 20 Hz             |
| reward      | minus the mean joint error, minus a little for very fast joints                 |
| start, goal | the nominal pose; a pose in its REACH, moving on in a straight line             |
| success     | mean joint error within 10 degrees at every step of the last fifth              |
| end         | never before the time is over, 4 s                                              |

ROBEL's random variant follows a sine; a line that goes on for the whole episode asks for the same,
to reach a pose and then to move with it, and is a goal like any other. Nothing is on the fixture's
motor: the fingers have the space of the object, too.
"""

from functools import partial

import numpy as np

from handlab_core.hands import make_hand
from handlab_core.rewards import terms
from handlab_core.rewards.goal import PoseAim
from handlab_core.rewards.reward import Term
from handlab_core.tasks.criteria import LastFifth, MeanOfLastFifth
from handlab_core.tasks.task import TASKS, PoseRange, Range, Task

# robel/dclaw/pose.py @ 5b0fd37
PERIOD = 0.05  # s
STEPS = 80
TOLERANCE = np.deg2rad(10.0)  # rad
FAST = np.pi  # rad/s, slower joints move for free

REACH = 0.6
"""Of half of a joint's range, to either side of the nominal pose: there a goal is when an episode
begins. Around the middle of the ranges, in their place, fingers would touch in every sixth goal."""
DRIFT = 0.25
"""Of half of a joint's range: so far a goal moves at most in one episode, and never leaves it."""

REWARDS = {
    # robel/dclaw/pose.py, but for the mean of the errors in the place of their norm
    "robel": (
        Term("distance", -10.0, terms.distance),
        Term("fast_joints", -0.1, partial(terms.fast_joints, slow=FAST)),
    ),
}


def pose_task(name: str, hand_name: str) -> Task:
    """Build the task for a hand."""
    hand = make_hand(hand_name)
    half = (hand.upper - hand.lower) / 2
    drift, reach = DRIFT * half, REACH * half
    lower = np.maximum(hand.nominal - reach, hand.lower + drift)
    upper = np.minimum(hand.nominal + reach, hand.upper - drift)
    fastest = drift / (STEPS * PERIOD)
    return Task(
        name=name,
        description=f"reach and follow poses with the {hand_name}: a new hand's health check",
        hand_name=hand_name,
        fixture_name="bare",
        rewards=REWARDS,
        reward="robel",
        start_angle=Range(0.0, 0.0),
        goal_angle=_range(lower, upper),
        goal_velocity=_range(-fastest, fastest),
        aim=PoseAim(),
        period=PERIOD,
        steps=STEPS,
        success=LastFifth(TOLERANCE),
        strict=MeanOfLastFifth(TOLERANCE / 2),
    )


def _range(lower: np.ndarray, upper: np.ndarray) -> PoseRange:
    return PoseRange(tuple(lower.tolist()), tuple(upper.tolist()))


@TASKS.register
def pose() -> Task:
    """Build it for the claw."""
    return pose_task("pose", "claw")


@TASKS.register
def allegro_pose() -> Task:
    """Build it for the Allegro hand."""
    return pose_task("allegro_pose", "allegro")
