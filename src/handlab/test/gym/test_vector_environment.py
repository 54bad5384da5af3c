"""A batch is its robots one by one; resets, masks and Gymnasium's wrappers."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeObservation, RecordEpisodeStatistics
from gymnasium.wrappers import vector as vector_wrappers

import handlab.gym
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks import TASKS

VALVE = "handlab/ClawValve-v0"
STEPS = 60


def test_a_batch_of_graphs_is_refused_with_the_reason():
    with pytest.raises(BadConfig, match=r"one robot.*gymnasium\.make"):
        gymnasium.make_vec(VALVE, num_envs=2, backend="graph")
    with pytest.raises(UnknownName, match="sim"):
        gymnasium.make_vec(VALVE, num_envs=2, backend="x")


@pytest.mark.parametrize(
    "options",
    [{"colour": "red"}, {"max_episode_steps": 3}, {"domain": 3}, {"pace": "real"}, {"seed": 1}],
    ids=str,
)
def test_a_batch_refuses_keywords_that_it_does_not_know(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        gymnasium.make_vec(VALVE, num_envs=2, **options)


def test_some_robots_are_not_reset_before_all_were(make):
    with pytest.raises(gymnasium.error.ResetNeeded, match="all"):
        make(2).reset(options={"reset_mask": np.array([True, False])})


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_batch_gives_what_its_robots_give_one_by_one(make, name, mode, play):
    """Beside Gymnasium's own SyncVectorEnv: observations, rewards, ends and every fact of info."""
    name, steps = handlab.gym.gym_id(TASKS.make(name)), TASKS.make(name).steps
    seeds = [5, 11, 5]
    batch = make(3, name, autoreset_mode=mode)
    sync = SyncVectorEnv([lambda: gymnasium.make(name)] * 3, autoreset_mode=mode)
    n = batch.single_action_space.shape[0]
    script = np.random.default_rng(0).uniform(-1, 1, (steps + 3, 3, n))
    try:
        for mine, theirs in zip(play(batch, script, seeds), play(sync, script, seeds), strict=True):
            assert data_equivalence(mine, theirs, exact=True)
    finally:
        sync.close()


def test_a_number_seeds_robots_one_after_the_other(make):
    a, b, c = (make(3, "handlab/ClawValveRandom-v0") for _ in range(3))
    observation = a.reset(seed=7)[0]
    np.testing.assert_array_equal(observation, b.reset(seed=[7, 8, 9])[0])
    np.testing.assert_array_equal(observation, c.reset(seed=np.array([7, 8, 9]))[0])
    assert not np.array_equal(a.reset(seed=8)[0], observation)


def test_lists_of_seeds_give_the_same_again(make, acts, play):
    """But for the last digit: velocities are differences of times, which go on."""
    envs = make(3, "handlab/ClawValveRandom-v0")
    script = acts(3, STEPS + 5)
    first = play(envs, script, [3, 1, 4])
    assert data_equivalence(first, play(envs, script, [3, 1, 4]))
    other = play(envs, script, [3, 2, 4])
    assert np.array_equal(other[0][0][[0, 2]], first[0][0][[0, 2]])
    assert not np.array_equal(other[0][0][1], first[0][0][1])


def test_a_robot_without_a_seed_goes_on_with_its_series(make):
    envs = make(2, "handlab/ClawValveRandom-v0")
    goals = [envs.reset(seed=[1, None])[1]["goal"], envs.reset(seed=[1, None])[1]["goal"]]
    assert goals[0][0] == goals[1][0] and goals[0][1] != goals[1][1]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_masked_reset_leaves_the_other_robots_as_they_are(make, mode, acts, play):
    envs, alone = make(3, autoreset_mode=mode), make(3, autoreset_mode=mode)
    script = acts(3, STEPS - 10)
    play(alone, script, 0)
    play(envs, script[:20], 0)
    mask = np.array([False, True, False])
    _, info = envs.reset(seed=[9, 9, 9], options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_goal"], mask)
    for action in script[20:]:
        _observation, *_ = envs.step(action)
    for action in acts(3, 10, seed=1):
        seen, expected = envs.step(action), alone.step(action)
        np.testing.assert_array_equal(seen[0][[0, 2]], expected[0][[0, 2]])
        np.testing.assert_array_equal(seen[1][[0, 2]], expected[1][[0, 2]])
    np.testing.assert_array_equal(seen[3], [True, False, True])
    if mode is AutoresetMode.SAME_STEP:
        np.testing.assert_array_equal(seen[4]["_final_obs"], seen[3])
        assert seen[4]["final_obs"][1] is None and not seen[4]["_reset_s"][1]


def test_autoreset_in_the_next_step_ignores_the_action_of_that_step(make, play):
    envs = make(2)
    seen = play(envs, np.zeros((2, 9))[None].repeat(STEPS, 0), 0)
    assert seen[-1][3].all() and not seen[-2][3].any()
    _observation, reward, terminated, truncated, info = envs.step(np.zeros((2, 9)))
    assert not (reward.any() or terminated.any() or truncated.any())
    assert info["_reset_s"].all() and "error" not in info
    assert "error" in envs.step(np.zeros((2, 9)))[4]


def test_without_autoreset_the_end_is_named_and_a_masked_reset_goes_on(make, acts, play):
    envs = make(2, autoreset_mode="Disabled")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    play(envs, acts(2, STEPS - 5), 0)
    envs.reset(seed=3, options={"reset_mask": np.array([True, False])})
    for action in acts(2, 5):
        *_, ended, _ = envs.step(action)
    np.testing.assert_array_equal(ended, [False, True])
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[1\].*reset_mask"):
        envs.step(np.zeros((2, 9)))
    envs.reset(options={"reset_mask": ended})
    assert not envs.step(np.zeros((2, 9)))[3].any()


def test_gymnasium_normalises_observations_of_one_robot_and_of_a_batch(make, acts, play):
    env = NormalizeObservation(make())
    env.reset(seed=0)
    seen = np.array([env.step(action[0])[0] for action in acts(1, STEPS)])
    assert np.isfinite(seen).all() and np.abs(seen.mean()) < 1
    envs = vector_wrappers.NormalizeObservation(make(4))
    seen = np.array([step[0] for step in play(envs, acts(4, STEPS + 5), 0)])
    assert np.isfinite(seen).all() and 0.3 < seen[20:].std() < 3
    with pytest.raises(ValueError, match="NEXT_STEP"):  # Gymnasium's own limit
        vector_wrappers.NormalizeObservation(make(2, autoreset_mode="SameStep"))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_gymnasium_counts_episodes_of_one_robot_and_of_a_batch(make, mode, play):
    env = RecordEpisodeStatistics(make())
    env.reset(seed=0)
    rewards = [env.step(np.zeros(9)) for _ in range(STEPS)]
    assert rewards[-1][4]["episode"]["l"] == STEPS
    envs = vector_wrappers.RecordEpisodeStatistics(make(3, autoreset_mode=mode))
    steps = [step for step in play(envs, np.zeros((3, 9))[None].repeat(2 * STEPS + 2, 0), 0)[1:]]
    assert list(envs.length_queue) == [STEPS] * 6
    total = sum(step[1] for step in steps[:STEPS])
    np.testing.assert_allclose(list(envs.return_queue)[:3], total)
    assert rewards[-1][4]["episode"]["r"] == pytest.approx(sum(step[1] for step in rewards))
