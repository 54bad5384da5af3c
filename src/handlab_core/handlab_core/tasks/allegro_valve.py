"""Turn the valve by a whole turn with the Allegro hand (the post's third task).

| part        | value                                                                |
|-------------|----------------------------------------------------------------------|
| observation | as `valve_random`, with 16 joints                                    |
| action      | joint position targets (16) in [-1, 1] of the commanded range, 10 Hz |
| reward      | as `valve`                                                           |
| start, goal | -120 degrees; +240 degrees: the same place, a turn later             |
| end         | never before the time is over, 10 s                                  |

The hinge goes from -360 to 360 degrees, and the hand at rest clears the lobes only where they are
as at 0: with three of them, every 120 degrees. (A whole turn from -180 would be in the middle of
the hinge, but a lobe would begin where the thumb rests.) Of the whole turns between such places
this one leaves a lobe's spacing at least to either stop: a policy that turns too far sees an error,
not a wall.
"""

import numpy as np

from handlab_core.rewards.goal import ObjectAim
from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import LOBES, REWARDS

START = np.deg2rad(-120.0)  # rad
TURN = 2 * np.pi  # rad
STEPS = 100
"""Number of steps, 10 s: a whole turn at the mean speed of `valve`, and time to regrip."""


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
        aim=ObjectAim(LOBES),
        start_angle=Range(START, START),
        goal_angle=Range(START + TURN, START + TURN),
        steps=STEPS,
    )
