"""Episodes made of arithmetic, for tests of learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.tasks import make_task
from handlab_learning.models.squashed_actor import SquashedActor


def _episodes_of(task, policy, rng, reward, count=10, steps=12, by_observation=False):
    """Episodes whose observations are noise and whose rewards are a function of the action."""
    made = []
    for number in range(count):
        observations = rng.normal(size=(steps + 1, task.observation_size))
        actions = policy.act(observations[:-1], rng.normal(size=(steps, task.hand.n)))
        rewards = observations[:-1, 0] if by_observation else reward(actions)
        made.append(
            Episode(
                EpisodeKey(number, 0, policy.version, deterministic=False),
                Trajectory(
                    observations=observations,
                    actions=actions,
                    rewards=rewards,
                    reward_terms=rewards[:, None],
                    errors=np.full(steps, 0.01),
                    goal_angle=np.zeros(1),
                ),
                Outcome(success=True, strict_success=True),
                RobotTime(steps * task.period, reset_s=1.0, reset_attempts=1),
                unknown_temperatures(task.hand.n),
            )
        )
    return made


@pytest.fixture(scope="session")
def squashed():
    """A policy of the valve with pink noise."""
    torch.manual_seed(0)
    return SquashedActor(make_task("valve").spaces, (8,)).to_numpy(1.0, 0)


@pytest.fixture(scope="session")
def episodes_of():
    """The function that makes them."""
    return _episodes_of


def small_actions(action):
    """Reward small actions."""
    return -np.square(action).sum(-1)


class Sampler:
    """Gives episodes that depend on policy, seed and number alone."""

    def __init__(self, task, reward=small_actions, **shape):
        self.task, self._reward, self._shape = task, reward, shape

    def sample(self, policy, plan):
        rng = np.random.default_rng((plan.seed, plan.numbers[0], policy.version))
        made = _episodes_of(
            self.task, policy, rng, self._reward, count=len(plan.numbers), **self._shape
        )
        return [
            replace(episode, key=plan.key(number, policy.version))
            for number, episode in zip(plan.numbers, made, strict=True)
        ]


@pytest.fixture(scope="session")
def make_sampler():
    """The class of samplers."""
    return Sampler
