"""Arguments that cannot be are refused with the reason."""

import gymnasium
import numpy as np
import pytest

import handlab.gym
from handlab_core.errors import HandlabError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 2.5}, "num_envs"),
        ({"num_envs": True}, "num_envs"),
        ({"threads": -1}, "threads"),
        ({"render_mode": "human"}, "rgb_array"),
        ({"autoreset_mode": "now"}, "NextStep"),
    ],
    ids=str,
)
def test_numbers_and_modes_that_cannot_be_are_refused(options, message):
    with pytest.raises(HandlabError, match=message):
        handlab.gym.HandlabVectorEnv("valve", **options)


@pytest.mark.parametrize("number", [None, 3], ids=["one robot", "three robots"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 4, np.nan, a), "nan at .*4"),
        (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 4, np.inf, a), "inf at .*4"),
        (lambda a: a[..., :-1], "given: .*8"),
        (lambda a: a[None], "given: .*1, "),
        (lambda a: 0.0, r"given: \(\)"),
        (lambda a: None, "None"),
        (lambda a: a.astype(str), "of numbers"),
        (lambda a: a.astype(complex), "of numbers"),
        (lambda a: [[0.0], [0.0, 1.0]], "of numbers"),
    ],
)
def test_an_action_that_is_not_one_is_refused_and_the_episode_goes_on(make, number, spoil, message):
    env = make(number).unwrapped
    env.reset(seed=0)
    good = np.zeros(env.action_space.shape)
    with pytest.raises(gymnasium.error.InvalidAction, match=message) as caught:
        env.step(spoil(good))
    assert isinstance(caught.value, HandlabError)
    assert not np.any(env.step(good)[3])


@pytest.mark.parametrize("number", [None, 2], ids=["one robot", "two robots"])
@pytest.mark.parametrize("options", [{"colour": 1}, {"reset_mask": [True, True]}, ["x"]], ids=str)
def test_options_of_a_reset_are_honoured_or_refused(make, number, options):
    env = make(number)
    with pytest.raises(handlab.gym.BadArgument, match=r"colour|reset_mask|dict"):
        env.reset(seed=0, options=options)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", [1], [1, 2, 3], [1, -2], [1, True], {1, 2}, True])
def test_seeds_that_cannot_be_are_refused(make, seed):
    envs = make(2)
    with pytest.raises(gymnasium.error.Error, match="seed"):
        envs.reset(seed=seed)


@pytest.mark.parametrize(
    "mask",
    [
        [True, False],
        np.array([1, 0]),
        np.array([True]),
        np.array([[True, False]]),
        np.zeros(2, bool),
    ],
    ids=str,
)
def test_masks_that_cannot_be_are_refused(make, mask):
    envs = make(2)
    envs.reset(seed=0)
    with pytest.raises(handlab.gym.BadArgument, match="reset_mask"):
        envs.reset(options={"reset_mask": mask})
