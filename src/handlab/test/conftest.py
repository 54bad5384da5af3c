"""Environments of Gymnasium for the tests of them and of stable-baselines3."""

import gymnasium
import numpy as np
import pytest

import handlab.gym  # noqa: F401  (registers the environments)


@pytest.fixture
def make():
    """Make environments that are closed after the test."""
    made = []

    def make(number=None, name="handlab/ClawValve-v0", **options):
        if number is None:
            made.append(gymnasium.make(name, **options))
        else:
            made.append(gymnasium.make_vec(name, num_envs=number, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.fixture
def acts():
    """Return a function that draws random actions, (steps, N, 9)."""
    return lambda number, steps, seed=0: np.random.default_rng(seed).uniform(
        -1, 1, (steps, number, 9)
    )


@pytest.fixture
def play():
    """Return a function that resets, acts, and returns all results."""

    def play(envs, script, seed=None):
        seen = [envs.reset(seed=seed)]
        return seen + [envs.step(action) for action in script]

    return play
