"""Turn the valve by half a turn (the post's first task; ROBEL's Turn).

| part        | value                                                                           |
|-------------|---------------------------------------------------------------------------------|
| observation | joints (9, of the commanded range), cos and sin of the valve, error, last action |
| action      | joint position targets (9) in [-1, 1] of the commanded range                     |
| reward      | `post`: minus the distance; `bonus`: plus bonuses near the goal; `robel`         |
| end         | never before the time is over, 6 s                                              |
"""

from functools import partial

import numpy as np

from handlab_core.rewards import terms
from handlab_core.rewards.reward import Term
from handlab_core.tasks.task import TASKS, Range, Task

LOBES = 3
"""Number of lobes of the valve, which are identical."""

FOUND_BY_GAIT = {"rlpd": {"own_demonstrations": 8}}
"""Settings of tasks that random gaits sometimes solve."""

BRED_GAIT = {"rlpd": FOUND_BY_GAIT["rlpd"] | {"search_episodes": 200}}
"""Settings of tasks that no random gait solves, but a descendant of one; a longer search."""

FOUND_FOR_MANY_GOALS = {
    "rlpd": {"own_demonstrations": 6, "search_episodes": 60, "other_goals": 4}
}  # fmt: skip
"""Settings of tasks with random goals. A gait that solves one goal in three is a beginning, and a
longer search finds none that solves more."""

REWARDS = {
    # "Simply the negative distance": the post of 2018.
    "post": (Term("distance", -1.0, terms.distance),),
    # The same with bonuses: arXiv:1810.06045 as quoted in reviews of it.
    "bonus": (
        Term("distance", -1.0, terms.distance),
        Term("near", 10.0, partial(terms.near, within=0.10)),
        Term("very_near", 50.0, partial(terms.near, within=0.05)),
    ),
    # robel/dclaw/turn.py @ 5b0fd37
    "robel": (
        Term("distance", -5.0, terms.distance),
        Term("pose_deviation", -1.0, terms.pose_deviation),
        Term("fast_joints", -1.0, terms.fast_joints),
        Term("near", 10.0, partial(terms.near, within=0.25)),
        Term("very_near", 50.0, partial(terms.near, within=0.10)),
    ),
}


@TASKS.register
def valve() -> Task:
    """Build the fixed half turn: from 0 to 180 degrees."""
    return Task(
        name="valve",
        description="turn the three-lobed valve by 180 degrees",
        hand_name="claw",
        fixture_name="valve",
        rewards=REWARDS,
        reward="robel",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(np.pi, np.pi),
        symmetric=True,
        settings=FOUND_BY_GAIT,
    )
