"""Keep the valve with a goal that turns (ROBEL's Screw, random).

| part        | value                                                                        |
|-------------|------------------------------------------------------------------------------|
| observation | as `valve_random`, the error to where the goal is now; the goal's velocity   |
| action      | as `valve_random`                                                            |
| reward      | as `valve`                                                                   |
| start, goal | anywhere; the goal starts there too and turns by up to 0.75 rad/s either way |
| success     | the mean error of the whole episode is below 0.2 rad; strict: below 0.1 rad  |
| end         | never before the time is over, 8 s                                           |

The angle is unwrapped. From half a turn the goal goes on by another turn nearly, more than the
hinge of `valve` has, so the fixture is one with more turns; the reset's motor turns them all back.
"""

import numpy as np

from handlab_core.rewards.goal import ObjectAim
from handlab_core.tasks.criteria import MeanError
from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import LOBES, REWARDS
from handlab_core.tasks.valve_random import FINE, SMOOTHING

# robel/dclaw/screw.py @ 5b0fd37, DClawScrewRandom
FASTEST = 0.75  # rad/s
STEPS = 80
TOLERANCE = 0.2  # rad


@TASKS.register
def valve_tracking() -> Task:
    """Build the turning goal."""
    return Task(
        name="valve_tracking",
        description="keep the valve with a goal that turns by up to 0.75 rad/s",
        hand_name="claw",
        fixture_name="valve_turns",
        rewards=REWARDS,
        reward="robel",
        aim=ObjectAim(LOBES, fine=FINE, moving=True),
        smoothing=SMOOTHING,
        symmetric=True,
        start_angle=Range(-np.pi, np.pi),
        goal_angle=Range(0.0, 0.0),
        goal_velocity=Range(-FASTEST, FASTEST),
        goal_from_start=True,
        steps=STEPS,
        success=MeanError(TOLERANCE),
        strict=MeanError(TOLERANCE / 2),
    )
