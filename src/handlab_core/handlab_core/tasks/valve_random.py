"""Turn the valve from anywhere to anywhere: ROBEL's Turn with random start and goal.

| part        | value                                                                           |
|-------------|---------------------------------------------------------------------------------|
| observation | as `valve`, but the three lobes are alike: cos and sin of three times the angle |
|             | and the error twice: as it is, and bent to be fine near the goal                |
| action      | as `valve`, each the mean of the new action and the one before                  |
| reward      | as `valve`                                                                      |
| start, goal | +-60 degrees; 180 +-60 degrees: a way of 60 to 300 degrees                      |
| end         | never before the time is over, 6 s                                              |
"""

import numpy as np

from handlab_core.rewards.goal import ObjectAim
from handlab_core.tasks.task import TASKS, Range, Task
from handlab_core.tasks.valve import FOUND_FOR_MANY_GOALS, LOBES, REWARDS

SPREAD = np.deg2rad(60.0)  # rad; half range of start and goal; DClawTurnRandom, ROBEL
FINE = 0.25  # rad; error below which the wider bonus of the reward begins
SMOOTHING = 0.5
"""Fraction of the last action. White noise on every target shakes the valve off its goal, and
holding it is learned last. With smoothing half of the noisy episodes succeed after two hours,
without it after five; docs/hard_tasks.md."""


@TASKS.register
def valve_random() -> Task:
    """Build the turn from a random start to a random goal."""
    return Task(
        name="valve_random",
        description="turn the valve from a random start to a random goal",
        hand_name="claw",
        fixture_name="valve",
        rewards=REWARDS,
        reward="robel",
        aim=ObjectAim(LOBES, fine=FINE),
        smoothing=SMOOTHING,
        symmetric=True,
        start_angle=Range(-SPREAD, SPREAD),
        goal_angle=Range(np.pi - SPREAD, np.pi + SPREAD),
        settings=FOUND_FOR_MANY_GOALS,
    )
