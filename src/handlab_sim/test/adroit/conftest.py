"""Fixtures: short tasks of the suite, policies for them, and episodes."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.tasks.adroit import Held, find_task


@pytest.fixture(scope="session")
def short():
    """Function that returns a task by name, with 12 steps."""
    return lambda name: replace(find_task(name), steps=12, success=Held(2))


@pytest.fixture(scope="session")
def policy():
    """Function that returns a policy of random weights, which acts on all actuators."""

    def policy_of(task, rng, scale=0.3):
        n = task.spaces
        return GaussianPolicy(
            (scale * rng.normal(size=(n.observation, n.action)),), (np.zeros(n.action),),
            np.full(n.action, -1.0), np.zeros(n.observation), np.ones(n.observation), 4,
        )  # fmt: skip

    return policy_of


@pytest.fixture(scope="session")
def run():
    """Function that runs one episode of a world."""

    def run(world, policy, seed, number, deterministic=False):
        [episode] = world.sample(policy, EpisodePlan(seed, [number], deterministic))
        return episode

    return run
