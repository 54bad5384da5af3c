"""Random robots for laws of tasks and goals."""

import numpy as np
import pytest

from handlab_core.environment.station import start_request
from handlab_core.types import Goal, JointState, ObjectEstimate


@pytest.fixture
def situation():
    def situation(task, rows=7):
        """Hand, object, goal and last action of some robots, all different."""
        rng, n = np.random.default_rng(0), task.hand.n
        stamp = rng.uniform(1, 2, rows)
        hand = JointState(stamp, *rng.normal(size=(3, rows, n)))
        obj = ObjectEstimate(stamp, *rng.normal(size=(2, rows)))
        request = start_request(task, 0, np.arange(rows))
        goal = Goal(request.episode, stamp - 0.5, request.goal_angle, request.goal_velocity)
        return hand, obj, goal, rng.uniform(-1, 1, (rows, n))

    return situation
