"""An episode that is over takes no more steps, whoever moves the hand."""

import numpy as np
import pytest

from handlab_core.environment.env import Env
from handlab_core.environment.station import ResetRequest, ResetResult
from handlab_core.tasks import make_task
from handlab_core.types import Goal, JointState, ObjectEstimate, Sample

TASK = make_task("valve")


class StillStation:
    """A station in which nothing moves."""

    num_envs = 1

    def __init__(self):
        zeros, zero = np.zeros((1, TASK.hand.n)), np.zeros(1)
        self.hand = JointState(zero, TASK.hand.nominal[None, :], zeros, zeros)
        self.object = ObjectEstimate(zero, zero, zero)
        self.steps = 0

    def reset(self, request: ResetRequest) -> ResetResult:
        zero = np.zeros(1)
        goal = Goal(request.episode, zero, request.goal_angle, request.goal_velocity)
        return ResetResult(self.hand, self.object, goal, zero, np.array([1]))

    def step(self, q):
        return self.let_go()

    def let_go(self, hold=0.0):
        self.steps += 1
        return Sample(self.hand, self.object)


@pytest.mark.parametrize("released", [False, True])
def test_an_episode_that_is_over_takes_no_step(released):
    station = StillStation()
    env = Env(TASK, station)
    env.reset(0, np.array([0]))

    def step():
        if released:
            return env.let_go(station.hand, station.object)[0]
        return env.step(np.zeros((1, TASK.hand.n)))

    for _ in range(TASK.steps):
        last = step()
    assert last.truncated.all() and station.steps == TASK.steps
    with pytest.raises(RuntimeError, match="the episode is over; call reset"):
        step()
    assert station.steps == TASK.steps
