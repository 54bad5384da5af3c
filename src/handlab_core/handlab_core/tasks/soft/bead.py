"""Push a bead of an abacus with the soft hand (arXiv:1603.06348).

| part        | value                                                                        |
|-------------|------------------------------------------------------------------------------|
| observation | pressures (7, of their range), cos and sin of the pulley, error, last action |
| action      | as `soft_valve`                                                              |
| reward      | as `soft_valve`                                                              |
| start, goal | 0; 2 rad of the pulley: 40 mm towards the palm                               |
| end         | never before the time is over, 5 s                                           |

The bead slides on a rod below the fingers. The motor of the reset mechanism draws it back on a
thread; its pulley measures where the bead is.
"""

from handlab_core.objects.fixture import PULLEY
from handlab_core.reset.procedure import CLEARING
from handlab_core.tasks.soft.valve import REWARDS
from handlab_core.tasks.task import TASKS, Range, Task

WAY = 0.04  # m


@TASKS.register
def soft_bead() -> Task:
    """Build the push."""
    return Task(
        name="soft_bead",
        description="push the bead of an abacus by 40 mm with seven air chambers",
        hand_name="soft",
        fixture_name="bead",
        rewards=REWARDS,
        reset=CLEARING,
        reward="near",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(WAY / PULLEY, WAY / PULLEY),
        steps=50,
    )
