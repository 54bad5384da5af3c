"""stable-baselines3 trains on one robot and on a batch."""

import importlib.util

import numpy as np
import pytest

from handlab.stable_baselines import BatchVecEnv
from handlab_core.errors import BadConfig
from handlab_core.system.paths import share
from handlab_learning.runs.options import BACKENDS

STEPS = 60


def learns(env, **options):
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", env, n_steps=60, batch_size=60, n_epochs=1, device="cpu", **options)
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    model.learn(360)
    return any((before[k] != v).any() for k, v in model.policy.state_dict().items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_stable_baselines_trains_on_one_robot(make, backend):
    assert learns(make(backend=backend), seed=0)


def test_stable_baselines_trains_on_a_batch(make):
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    envs = BatchVecEnv(make(3, autoreset_mode="SameStep", render_mode="rgb_array"))
    monitored = VecMonitor(envs)
    assert learns(VecNormalize(monitored), seed=0)
    assert set(monitored.episode_lengths.tolist()) <= set(range(STEPS + 1))
    assert envs.render().shape[2] == 3  # tiled

    class Still:
        def predict(self, observation, **_):
            return np.zeros((len(observation), 9)), None

    returns, lengths = evaluate_policy(Still(), monitored, 6, return_episode_rewards=True)
    assert lengths == [STEPS] * 6 and np.isfinite(returns).all()


def test_stable_baselines_gets_the_end_and_the_next_beginning_in_one_step(make, acts):
    envs, same = BatchVecEnv(make(2, autoreset_mode="SameStep")), make(2, autoreset_mode="SameStep")
    assert envs.seed(3) == [3, 4]
    np.testing.assert_array_equal(envs.reset(), same.reset(seed=3)[0])
    for action in acts(2, STEPS):
        observation, _reward, done, infos = envs.step(action)
        theirs = same.step(action)
    assert done.all() and all(info["TimeLimit.truncated"] for info in infos)
    np.testing.assert_array_equal(observation, theirs[0])
    for i in range(2):
        np.testing.assert_array_equal(infos[i]["terminal_observation"], theirs[4]["final_obs"][i])
        assert infos[i]["error"] == theirs[4]["final_info"]["error"][i]
        assert envs.reset_infos[i]["reset_s"] > 0
    assert not envs.step(np.zeros((2, 9)))[3][0]["TimeLimit.truncated"]


def test_stable_baselines_is_not_given_a_batch_that_resets_at_another_time(make):
    with pytest.raises(BadConfig, match="SameStep"):
        BatchVecEnv(make(2))


def test_the_example_for_stable_baselines_runs(capsys):
    spec = importlib.util.spec_from_file_location(
        "example", share() / "examples/stable_baselines.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    mean = example.main(["--robots", "8", "--steps", "480"])
    assert f"{mean:.1f}" in capsys.readouterr().out
