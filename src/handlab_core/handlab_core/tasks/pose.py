"""Reach a pose and follow it: the health check of any new hand (ROBEL's Pose).

| part        | value                                                                           |
|-------------|---------------------------------------------------------------------------------|
| observation | joints (n, of the commanded range), joints minus goal (n, rad), last action (n) |
| action      | joint position targets (n) in [-1, 1] of the commanded range, 20 Hz             |
| reward      | minus the mean joint error, minus a little for very fast joints                 |
| start, goal | the nominal pose; a pose in its REACH, moving on in a straight line             |
| success     | mean joint error within 10 degrees at every step of the last fifth              |
| end         | never before the time is over, 4 s                                              |

The goals of ROBEL's random variant follow a sine. A line requires the same skill, to reach a pose
and to move with it, and needs no other kind of goal. The fixture has no object, so that its space
is free for the fingers.
"""

from functools import partial

import numpy as np

from handlab_core.hands import HANDS, make_hand
from handlab_core.rewards import terms
from handlab_core.rewards.goal import PoseAim
from handlab_core.rewards.reward import Term
from handlab_core.tasks.criteria import LastFifth, MeanOfLastFifth
from handlab_core.tasks.task import TASKS, PoseRange, Range, Task

# robel/dclaw/pose.py @ 5b0fd37
PERIOD = 0.05  # s
STEPS = 80
TOLERANCE = np.deg2rad(10.0)  # rad
FAST = np.pi  # rad/s; speed above which a joint is penalised

REACH = 0.6
"""Fraction of half a joint's range; largest distance of the first goal from the nominal pose.
Around the middle of the ranges instead, the fingers would touch in every sixth goal."""
DRIFT = 0.25
"""Fraction of half a joint's range; largest motion of a goal in one episode, within the range."""

NAMES = {"claw": "pose"}
"""Hand to name of its task, where that is not `<hand>_pose`; ROBEL's name is older."""

REWARDS = {
    # robel/dclaw/pose.py, with the mean of the errors instead of their norm
    "robel": (
        Term("distance", -10.0, terms.distance),
        Term("fast_joints", -0.1, partial(terms.fast_joints, slow=FAST)),
    ),
}


LEARNED_IN_HINDSIGHT = {
    "rlpd": {
        "hindsight_episodes": 32, "gamma": 0.8, "n_step": 1, "reward_scale": 0.2,
        "target_entropy": 0.0, "actor_every": 2, "own_successes": False,
    }
}  # fmt: skip
"""Settings of tasks in which an action has its effect within half a second, and each motion shows
how to reach a pose. Successes with a few goals are no examples for others."""


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
        symmetric=bool(hand.alike),
        period=PERIOD,
        steps=STEPS,
        success=LastFifth(TOLERANCE),
        strict=MeanOfLastFifth(TOLERANCE / 2),
        settings=LEARNED_IN_HINDSIGHT,
    )


def _range(lower: np.ndarray, upper: np.ndarray) -> PoseRange:
    return PoseRange(tuple(lower.tolist()), tuple(upper.tolist()))


def _register(name: str, hand_name: str) -> None:
    """Register the task of a hand."""

    def build() -> Task:
        """Build the health check of the hand."""
        return pose_task(name, hand_name)

    build.__name__ = name
    TASKS.register(build)


for _hand in HANDS:
    _register(NAMES.get(_hand, f"{_hand}_pose"), _hand)
