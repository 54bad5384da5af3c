"""Local models on a mass that is pushed: they solve it in few episodes, and resume exactly."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
)
from handlab_core.environment.policies.linear_policy import LinearPolicy
from handlab_core.errors import BadConfig
from handlab_core.tasks.sizes import Fingers, Spaces
from handlab_core.tasks.task import NOISE_STREAM, episode_rng
from handlab_learning.algorithms.bc import CloningConfig
from handlab_learning.algorithms.distillation import distil, relabelled
from handlab_learning.algorithms.local_models import (
    LocalModels,
    LocalModelsConfig,
    spread_starts,
)
from handlab_learning.local_control import lqr

STEPS = 20


def reward(observation, change):
    """The mass must come to rest at zero."""
    return -np.square(observation[..., 0]) - np.square(change[..., 0])


SPACES = Spaces(2, 1, STEPS, reward=reward)
CONFIG = LocalModelsConfig(search_iterations=1, std=0.2)


def run(policy, seed, count=5, deterministic=False, starts=(1.0,), steps=STEPS):
    """Episodes of a mass: position and last action are observed."""
    episodes = []
    for number in range(count):
        rng, acting = episode_rng(seed, number, NOISE_STREAM), policy.begin()
        noise = policy.noise(rng, steps)
        position, velocity, action = starts[number % len(starts)] + 0.02 * rng.normal(), 0.0, 0.0
        seen, actions = [np.array([position, 0.0])], []
        for t in range(steps):
            given = acting.act(seen[-1][None], None if deterministic else noise[t][None])[0]
            action = float(given[0])
            velocity = 0.8 * velocity + 0.2 * action
            position += velocity
            actions.append(given)
            seen.append(np.array([position, action]))
        observations = np.stack(seen)
        rewards = reward(observations[1:], np.diff(observations, axis=0))
        path = Trajectory(
            observations, np.stack(actions), rewards, rewards[:, None], observations[1:, 0],
            np.zeros(1),
        )  # fmt: skip
        key = EpisodeKey(number, seed, policy.version, deterministic)
        episodes.append(
            Episode(key, path, Outcome(False, False), RobotTime(2.0), np.full(1, np.nan))
        )
    return episodes


def mean_return(policy, **how):
    return np.mean([e.episode_return for e in run(policy, 99, deterministic=True, **how)])


def learn(learner, iterations, first=0, **how):
    for iteration in range(first, first + iterations):
        learner.update(run(learner.policy(), iteration, **how))
    return learner


def test_a_mass_is_brought_to_rest_within_twenty_episodes():
    learner = LocalModels(SPACES, CONFIG, 0)
    before = mean_return(learner.result())
    after = mean_return(learn(learner, 4).result())
    assert before < -10.0 and after > -5.5  # the optimum is about -5


def test_a_reward_that_is_not_known_is_fitted():
    spaces = replace(SPACES, reward=None)
    learner = learn(LocalModels(spaces, CONFIG, 0), 6)
    assert mean_return(learner.result()) > -8.0


def test_the_step_shrinks_when_the_model_promised_too_much():
    learner = learn(LocalModels(SPACES, CONFIG, 0), 2)
    bad = [
        replace(e, trajectory=replace(e.trajectory, rewards=e.trajectory.rewards - 100.0))
        for e in run(learner.policy(), 5)
    ]
    assert learner.update(bad)["kl_multiplier"] == pytest.approx(CONFIG.least_multiplier)


def test_a_demonstration_is_the_first_controller_and_no_search_is_made():
    shown = run(learn(LocalModels(SPACES, CONFIG, 0), 3).policy(), 7, count=3)
    learner = LocalModels(SPACES, CONFIG, 1, shown)
    best = max(shown, key=lambda e: e.episode_return)
    acted = [learner.policy().begin()]
    first = acted[0].act(best.trajectory.observations[:1])
    np.testing.assert_allclose(first, best.trajectory.actions[:1])
    assert mean_return(learner.result()) > -8.0
    assert "searching" not in learner.update(run(learner.policy(), 8))


def test_a_resumed_run_is_the_uninterrupted_one_in_every_bit():
    whole = learn(LocalModels(SPACES, CONFIG, 0), 5)
    for stop in (1, 3):
        half = learn(LocalModels(SPACES, CONFIG, 0), stop)
        other = LocalModels(SPACES, CONFIG, 0)
        assert other.state_dict().keys() <= half.state_dict().keys()
        other.load_state_dict(half.state_dict())
        other.recall(half._recent)
        learn(other, 5 - stop, first=stop)
        for name, tensor in whole.state_dict().items():
            assert tensor.equal(other.state_dict()[name]), name


def test_every_policy_of_a_run_has_a_version_of_its_own():
    cloning = CloningConfig(epochs=1)
    config = replace(CONFIG, distilled=True, hidden=(8,), cloning=cloning)
    learner = LocalModels(SPACES, config, 0)
    versions = []
    for iteration in range(3):
        learner.update(run(learner.policy(), iteration))
        versions += [learner.policy().version, learner.result().version]
    assert versions == [2, 3, 4, 5, 6, 7]


def test_short_episodes_last_in_their_final_state_and_too_few_change_nothing():
    learner = learn(LocalModels(SPACES, CONFIG, 0), 2)
    metrics = learner.update(run(learner.policy(), 5, steps=STEPS - 4))
    assert metrics["improved_controllers"] == 1.0
    before = learner.policy()
    assert learner.update(run(learner.policy(), 6, count=1))["improved_controllers"] == 0.0
    assert learner.update([])["improved_controllers"] == 0.0
    np.testing.assert_array_equal(before.gain, learner.policy().gain)


def test_the_search_ends_with_a_success_whose_motion_is_repeated():
    learner = LocalModels(SPACES, replace(CONFIG, search_iterations=3), 0)
    assert learner.update(run(learner.policy(), 0))["searching"] == 1.0
    episodes = run(learner.policy(), 1)
    episodes[3] = replace(episodes[3], outcome=Outcome(True, False))
    assert learner.update(episodes)["searching"] == 0.0
    best = max([*run(LocalModels(SPACES, CONFIG, 0).policy(), 0), *episodes], key=episode_return)
    controllers = learner.controllers()
    np.testing.assert_allclose(controllers.offset[0], best.trajectory.actions)
    assert not controllers.gain.any()


def episode_return(episode):
    return episode.episode_return


def test_a_motion_that_was_held_at_the_goal_is_repeated_without_the_hold():
    """The clock of a controller stops by itself; what was planned for later must follow."""
    spaces = replace(SPACES, fingers=Fingers(0, (0,), (0,), 0.1))
    config = replace(CONFIG, search_iterations=1, hold=0.9)
    learner = LocalModels(spaces, config, 0)
    episodes = run(learner.policy(), 0, count=5)
    learner.update(episodes)
    best = max(episodes, key=episode_return)
    planned, acted = learner.controllers().offset[0], best.trajectory.actions
    held = np.abs(best.trajectory.observations[:-1, 0]) < 0.9
    assert held.any() and not held.all()
    np.testing.assert_allclose(planned[~held], acted[~held])
    assert np.abs(planned[held] - acted[held]).max() > 0.01


def test_paths_end_at_the_first_hold_which_lasts():
    spaces = replace(SPACES, fingers=Fingers(0, (0,), (0,), 0.1))
    learner = LocalModels(spaces, replace(CONFIG, hold=0.9), 0)
    [episode] = run(learner.policy(), 0, count=1)
    states, actions = learner._paths([episode])
    held = np.flatnonzero(np.abs(episode.trajectory.observations[1:, 0]) < 0.9)[0] + 1
    assert states.shape == (1, STEPS + 1, 4) and actions.shape == (1, STEPS, 1)
    np.testing.assert_array_equal(states[0, held:], np.tile(states[0, held], (STEPS + 1 - held, 1)))
    np.testing.assert_array_equal(
        states[0, : held + 1, 0], episode.trajectory.observations[: held + 1, 0]
    )


def test_a_model_without_a_solution_leaves_the_controller_as_it_is(caplog, monkeypatch):
    learner = learn(LocalModels(SPACES, CONFIG, 0), 2)

    def unsolvable(*_):
        raise np.linalg.LinAlgError("no eta")

    monkeypatch.setattr(lqr, "improve", unsolvable)
    before = learner.policy()
    metrics = learner.update(run(before, 5))
    assert metrics["improved_controllers"] == 0.0 and "no eta" in caplog.text
    np.testing.assert_array_equal(before.gain, learner.policy().gain)
    assert learner.policy().version == before.version + 2


def test_exploration_neither_ends_nor_grows_without_limit():
    config = replace(CONFIG, least_std=0.05, most_std=0.2, kl=5.0)
    learner = learn(LocalModels(SPACES, config, 0), 6)
    factor = learner.policy().factor
    std = np.linalg.svd(factor, compute_uv=False)
    assert std.min() >= 0.05 - 1e-9 and std.max() <= 0.2 + 1e-9


def test_starts_that_differ_get_a_controller_each():
    config = replace(CONFIG, controllers=2, episodes_per_iteration=10)
    learner = learn(LocalModels(SPACES, config, 0), 5, count=10, starts=(1.0, -1.0))
    policy = learner.policy()
    assert len(policy.starts) == 2
    np.testing.assert_allclose(np.sort(policy.starts[:, 0]), [-1.0, 1.0], atol=0.1)
    for start in (1.0, -1.0):
        assert mean_return(policy, starts=(start,)) > -6.0
    one = learn(LocalModels(SPACES, replace(config, controllers=1), 0), 1).policy()
    assert len(one.starts) == 1


def test_centres_are_those_of_the_clusters():
    firsts = np.array([[0.0], [0.2], [5.0], [5.2], [0.1]])
    centres, belongs = spread_starts(firsts, 2)
    np.testing.assert_allclose(np.sort(centres[:, 0]), [0.1, 5.1])
    assert len(set(belongs[[0, 1, 4]])) == 1 and belongs[2] == belongs[3] != belongs[0]
    assert len(spread_starts(firsts[:1], 3)[0]) == 1


def linear(gains, starts):
    """Controllers u = gain * position."""
    count = len(gains)
    gain = np.zeros((count, STEPS, 1, 4))
    gain[:, :, 0, 0] = np.array(gains)[:, None]
    return LinearPolicy(
        gain, np.zeros((count, STEPS, 1)), np.full((count, STEPS, 1, 1), 0.1),
        np.array([[start, 0.0] for start in starts]), SPACES.state_form, 0.0, 0,
    )  # fmt: skip


def test_one_network_is_distilled_from_several_controllers():
    """Each controller is linear on its side of zero; the network has to be both."""
    controllers = linear([-0.3, -0.8], [1.0, -1.0])
    episodes = run(controllers, 0, count=6, starts=(1.0, -1.0))
    config = CloningConfig(epochs=60, rate=0.01, jitter=0.0)
    net = distil(controllers, episodes, SPACES, (16,), config, seed=0).to_numpy(1)
    for episode, gain in zip(episodes[:2], (-0.3, -0.8), strict=True):
        seen = episode.trajectory.observations[:-1]
        error = net.act(seen)[:, 0] - gain * seen[:, 0]
        assert np.abs(error).mean() < 0.08
    # The nearest neighbour beside it: exact here, where the controllers are the truth.
    chosen = controllers.nearest(np.array([[0.8, 0.0], [-0.8, 0.0]]))
    assert chosen.tolist() == [0, 1]


def test_a_network_clones_what_the_controllers_mean_not_their_noise():
    controllers = linear([-0.5], [1.0])
    episode = run(controllers, 0, count=1)[0]
    clean = relabelled(controllers, episode).trajectory
    np.testing.assert_allclose(clean.actions[:, 0], -0.5 * clean.observations[:-1, 0])
    assert np.abs(clean.actions - episode.trajectory.actions).max() > 0.05


SHOWN = replace(SPACES, fingers=Fingers(0, (0,), (0,), 0.1), reward=None)
"""A mass whose position counts as the error of an object."""


def _motion(*errors):
    """Return a demonstration that shows positions of the mass, with actions that mean nothing."""
    seen = np.stack([np.array([error, 0.0]) for error in errors])
    [like] = run(LocalModels(SPACES, CONFIG, 0).policy(), 0, count=1)
    steps = len(errors) - 1
    path = replace(
        like.trajectory, observations=seen, actions=np.full((steps, 1), np.nan),
        rewards=np.zeros(steps), reward_terms=np.zeros((steps, 1)), errors=seen[1:, 0],
    )  # fmt: skip
    return replace(like, trajectory=path)


def test_only_the_motion_of_the_object_is_shown_and_the_controller_follows_it():
    """The reward would draw the mass to zero; the motion ends at 2. Another is out of reach."""
    follows = replace(CONFIG, object_centric=True, hold=0.0)
    near = _motion(*np.linspace(1.0, 2.0, STEPS + 1))
    unreachable = _motion(*np.linspace(1.0, -60.0, STEPS + 1))
    learner = learn(LocalModels(SHOWN, follows, 0, [unreachable, near]), 6)
    [episode] = run(learner.result(), 99, count=1, deterministic=True)
    path = episode.trajectory.observations[:, 0]
    np.testing.assert_allclose(path[-5:], near.trajectory.observations[-5:, 0], atol=0.25)


@pytest.mark.parametrize(
    ("spaces", "shown", "reason"),
    [(SHOWN, [], "--demos"), (SPACES, [_motion(1.0, 0.0)], "whose error is observed")],
)
def test_object_centric_demonstrations_need_an_object_and_a_motion(spaces, shown, reason):
    with pytest.raises(BadConfig, match=reason):
        LocalModels(spaces, replace(CONFIG, object_centric=True), 0, shown)


def test_the_search_ends_with_the_motion_that_comes_nearest_to_a_shown_one():
    """Not with that of the highest return."""
    follows = replace(CONFIG, object_centric=True, hold=0.0)
    motions = LocalModels(SPACES, CONFIG, 0).policy()
    tried = run(motions, 3)
    far = max(tried, key=lambda e: e.trajectory.observations[-1, 0])
    assert far is not max(tried, key=lambda e: e.episode_return)
    shown = _motion(*far.trajectory.observations[:, 0])
    learner = LocalModels(SHOWN, follows, 0, [shown])
    learner.update(tried)
    policy = learner.policy().begin()
    first = policy.act(far.trajectory.observations[:1])
    np.testing.assert_allclose(first, far.trajectory.actions[:1])
