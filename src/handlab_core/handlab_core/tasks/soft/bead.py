"""Push a bead of an abacus with the soft hand (arXiv:1603.06348).

| part        | value                                                                        |
|-------------|------------------------------------------------------------------------------|
| observation | pressures (7, of their range), cos and sin of the pulley, error, last action |
| action      | as `soft_valve`                                                              |
| reward      | as `soft_valve`                                                              |
| start, goal | 0; 0.75 rad of the pulley: 15 mm towards the palm                            |
| success     | within 4 mm at every step of the last fifth                                  |
| end         | never before the time is over, 5 s                                           |

The bead slides on a rod below the fingers. The motor of the reset mechanism draws it back on a
thread; its pulley measures where the bead is.
"""

from handlab_core.objects.fixture import PULLEY
from handlab_core.reset.procedure import CLEARING
from handlab_core.tasks.criteria import LastFifth
from handlab_core.tasks.soft.valve import REWARDS
from handlab_core.tasks.task import TASKS, Range, Task

WAY, TOLERANCE = 0.015, 0.004
"""m; chosen: fingers that curl as far as they can push it by 27 mm, too far."""


@TASKS.register
def soft_bead() -> Task:
    """Build the push."""
    return Task(
        name="soft_bead",
        description="push the bead of an abacus by 15 mm with seven air chambers",
        hand_name="soft",
        fixture_name="bead",
        rewards=REWARDS,
        reset=CLEARING,
        reward="near",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(WAY / PULLEY, WAY / PULLEY),
        steps=50,
        success=LastFifth(TOLERANCE / PULLEY),
    )
