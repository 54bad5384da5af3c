"""One robot as an environment: Gymnasium's checker, both backends, arguments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import handlab.gym
from handlab_core.errors import BadConfig, UnknownName
from handlab_learning.runs.options import BACKENDS

STEPS = 60


@pytest.mark.parametrize("backend", BACKENDS)
def test_gymnasiums_own_checker_passes(make, backend):
    env = make(backend=backend, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.reset(seed=1)
    total = 0
    for _ in range(STEPS):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        total += 1
        if terminated or truncated:
            break
    assert total == STEPS and truncated and "error" in info
    assert env.reset()[1]["reset_s"] > 0  # by its own motors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "x"}, UnknownName, "sim"),
        ({"reward": "x"}, UnknownName, "robel"),
        ({"reward": ""}, UnknownName, "robel"),
        ({"domain": 3}, BadConfig, "graph"),
        ({"pace": "lockstep"}, BadConfig, "graph"),
        ({"backend": "graph", "pace": "x"}, UnknownName, "lockstep"),
        ({"render_mode": "ansi"}, UnknownName, "rgb_array"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        handlab.gym.HandlabEnv("valve", **options)


@pytest.mark.parametrize("number", [None, 2], ids=["one robot", "two robots"])
def test_nothing_is_stepped_or_drawn_before_the_first_reset_or_after_the_end(make, number):
    env = make(number, render_mode="rgb_array").unwrapped
    action = np.zeros(env.action_space.shape)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before render"):
        env.render()
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before step"):
        env.step(action)
    env.reset(seed=0)
    env.step(action)
    if number is None:
        for _ in range(STEPS - 1):
            env.step(action)
        with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
            env.step(action)
    env.close()
    env.close()
    for call in (lambda: env.step(action), env.reset, env.render):
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="closed"):
            call()
