"""Turn the valve by half a turn with the LEAP hand.

| part        | value                                                                            |
|-------------|----------------------------------------------------------------------------------|
| observation | joints (16, of the commanded range), cos and sin of the valve, error, last action |
| action      | joint position targets (16) in [-1, 1] of the commanded range, 10 Hz             |
| reward      | as `valve`                                                                       |
| start, goal | 0 degrees; 180 degrees                                                           |
| end         | never before the time is over, 8 s                                               |

The hand at rest hangs above the lobes; the fingers turn them from above and from the side.
"""

import numpy as np

from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import REWARDS

STEPS = 80
"""Number of steps, 8 s: half a turn at the mean speed of `allegro_valve`, and time to settle."""


@TASKS.register
def leap_valve() -> Task:
    """Build the half turn."""
    return Task(
        name="leap_valve",
        description="turn the valve by 180 degrees with the LEAP hand",
        hand_name="leap",
        fixture_name="valve",
        rewards=REWARDS,
        reward="robel",
        start_angle=Range(0.0, 0.0),
        goal_angle=Range(np.pi, np.pi),
        steps=STEPS,
    )
