"""Flip a block on a horizontal axis (a task of the post).

| part        | value                                                                           |
|-------------|---------------------------------------------------------------------------------|
| observation | as `valve`, the block in the place of the valve                                 |
| action      | as `valve`                                                                      |
| reward      | as `valve`                                                                      |
| start, goal | 0, the marked face down; 180 degrees, the marked face up                        |
| end         | never before the time is over, 6 s                                              |
"""

import numpy as np

from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import BRED_GAIT, REWARDS


@TASKS.register
def flip() -> Task:
    """Build the half turn about a horizontal axis."""
    return Task(
        name="flip",
        description="flip a block on a horizontal axis by 180 degrees",
        hand_name="claw",
        fixture_name="flip",
        rewards=REWARDS,
        reward="robel",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(np.pi, np.pi),
        settings=BRED_GAIT,
    )
