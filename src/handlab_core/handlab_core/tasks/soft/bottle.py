"""Grasp a bottle with the soft hand (arXiv:1603.06348).

| part        | value                                                                        |
|-------------|------------------------------------------------------------------------------|
| observation | pressures (7, of their range), cos and sin of the pulley, error, last action |
| action      | as `soft_valve`                                                              |
| reward      | minus the distance from the palm                                             |
| start, goal | 0, where the bottle is right below the palm; the same                        |
| success     | within 10 mm of the start at every step of the last fifth                    |
| end         | never before the time is over, 5 s                                           |

The bottle sinks by 9 mm in a second unless the hand holds it. The hand has no arm that could lift
a bottle; in its stead the ground is taken away.
"""

from handlab_core.objects.fixture import PULLEY
from handlab_core.reset.procedure import CLEARING
from handlab_core.rewards import terms
from handlab_core.rewards.reward import Term
from handlab_core.tasks.criteria import LastFifth, MeanOfLastFifth
from handlab_core.tasks.task import TASKS, Range, Task

TOLERANCE = 0.01  # m


@TASKS.register
def soft_bottle() -> Task:
    """Build the grasp."""
    return Task(
        name="soft_bottle",
        description="grasp a bottle that sinks with seven air chambers",
        hand_name="soft",
        fixture_name="bottle",
        rewards={"post": (Term("distance", -1.0, terms.distance),)},
        reset=CLEARING,
        reward="post",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(0.0, 0.0),
        steps=50,
        success=LastFifth(TOLERANCE / PULLEY),
        strict=MeanOfLastFifth(0.8 * TOLERANCE / PULLEY),
        # The error is small at the start, where a hold would do nothing.
        settings={"local_models": {"hold": 0.0}},
    )
