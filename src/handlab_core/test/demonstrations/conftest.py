"""A recorded motion whose figures are known."""

import numpy as np
import pytest

from handlab_core.demonstrations.recording import Motion
from handlab_core.tasks import make_task
from handlab_core.types import Goal, JointState, ObjectEstimate

HAND = make_task("valve").hand


@pytest.fixture
def recorded():
    def recorded(rate=0.01, seconds=1.0, **changes):
        """A hand and an object that move evenly, read at a rate."""
        stamps = np.round(5.0 + np.arange(0.0, seconds + 0.3, rate), 9)
        elapsed = stamps - 5.0
        q = HAND.nominal + 0.1 * elapsed[:, None]
        qd = np.full_like(q, 0.1)
        hand = JointState(stamps, q, qd, np.zeros_like(q))
        obj = ObjectEstimate(stamps, 0.5 * elapsed, np.full(len(stamps), 0.5))
        goal = Goal(np.array([3]), np.array([5.0]), np.array([[np.pi]]), np.zeros((1, 1)))
        values = {
            "hand": hand, "object": obj, "goal": goal, "began": 5.0, "ended": 5.0 + seconds,
            "episode": 3, "seed": 7, "reset_s": 2.0, "reset_attempts": 1,
        }  # fmt: skip
        return Motion(**(values | changes))

    return recorded
