"""Turn the valve by 60 degrees with the soft hand (arXiv:1603.06348 turns one with the RBO Hand 2).

| part        | value                                                                       |
|-------------|-----------------------------------------------------------------------------|
| observation | pressures (7, of their range), cos and sin of the valve, error, last action |
| action      | commands of the valves (7) in [-1, 1] of the pressure range, 10 Hz          |
| reward      | minus the distance, plus bonuses near the goal                              |
| start, goal | 10 degrees; 70 degrees                                                      |
| end         | never before the time is over, 6 s                                          |

The shape of the fingers is not observed. At the start a lobe is below the fingers: where they curl,
their tips draw it towards the palm.
"""

from functools import partial

import numpy as np

from handlab_core.reset.procedure import CLEARING
from handlab_core.rewards import terms
from handlab_core.rewards.reward import Term
from handlab_core.tasks.task import TASKS, Range, Task

START = np.deg2rad(10.0)  # rad
TURN = np.deg2rad(60.0)
"""rad; chosen: more than random motions reach, of which the best of 256 turns by 31 degrees."""

REWARDS = {
    # robel/dclaw/turn.py @ 5b0fd37, without the terms of poses: a grasp has no nominal pressure.
    "near": (
        Term("distance", -5.0, terms.distance),
        Term("near", 10.0, partial(terms.near, within=0.25)),
        Term("very_near", 50.0, partial(terms.near, within=0.10)),
    ),
}


@TASKS.register
def soft_valve() -> Task:
    """Build the turn."""
    return Task(
        name="soft_valve",
        description="turn the valve by 60 degrees with seven air chambers",
        hand_name="soft",
        fixture_name="valve",
        rewards=REWARDS,
        reset=CLEARING,
        reward="near",
        start_angle=Range(START, START),
        goal_angle=Range(START + TURN, START + TURN),
    )
