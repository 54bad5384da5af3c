"""Turn the valve by a whole turn with the Allegro hand (the post's third task).

| part        | what                                                                            |
|-------------|---------------------------------------------------------------------------------|
| observation | joints (16, of the commanded range), cos and sin of the valve, error, last action |
| action      | joint position targets (16) in [-1, 1] of the commanded range, 10 Hz             |
| reward      | as `valve`                                                                      |
| start, goal | -180 degrees; +180 degrees: the same place, a turn later                         |
| end         | never before the time is over, 10 s                                             |

The valve's hinge goes from -360 to 360 degrees. Around its middle a whole turn leaves half a turn
to the stop on either side: neither start nor goal rests against a stop that would hold the valve
there, and a policy that turns too far sees an error, not a wall.
"""

import numpy as np

from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import REWARDS

STEPS = 100
"""10 s: a whole turn at the mean speed that `valve` needs for its half, and time to regrip."""


@TASKS.register
def allegro_valve() -> Task:
    """Build the whole turn."""
    return Task(
        name="allegro_valve",
        description="turn the valve by 360 degrees with sixteen joints",
        hand_name="allegro",
        fixture_name="valve",
        rewards=REWARDS,
        reward="robel",
        start_angle=Range(-np.pi, -np.pi),
        goal_angle=Range(np.pi, np.pi),
        steps=STEPS,
    )
