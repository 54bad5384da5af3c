"""Gaits fitted to demonstrations: known gaits come back, and a search begins with them."""

from dataclasses import replace

import numpy as np
import pytest

from handlab.benches.learning.demos import shown
from handlab.experiments.task_kinds import local_sampler
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.environment.episode import EpisodePlan, Outcome
from handlab_core.tasks import make_task
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.exploration.gait_fit import FACTORS, gaits_like
from handlab_learning.exploration.gait_search import GaitSearch

FLIP = make_task("flip")
CONFIG = RlpdConfig(
    hidden=(8,), own_demonstrations=1, search_episodes=3, cloning_updates=20, update_ratio=0.1
)


@pytest.fixture(scope="module")
def slow():
    """Two demonstrations that are too slow to solve the task."""
    episodes = shown(FLIP.name, 2, TeacherConfig(noise=0.02, speed=0.6), 10)
    assert not any(episode.outcome.solved for episode in episodes)
    return episodes


@pytest.mark.parametrize("name", ["flip", "valve"])
def test_a_gait_that_was_shown_comes_back_at_every_speed(name):
    """With alike fingers their delay comes back, too."""
    task = make_task(name)
    numbers = GaitSearch(task.spaces, 3, 1, 1)._next()[0]
    numbers[: numbers.size // 3] *= 0.3  # amplitudes and offsets that no limit clips
    numbers[-2:] = np.log(0.7), 0.2
    policy = GaitSearch(task.spaces, 0, 1, 1, [numbers]).policy(0)
    policy = replace(policy, amplitude=0.2 * policy.amplitude)
    far = np.full((1, task.spaces.observation), -3.0)
    path = [policy.act(far)[0] for _ in range(60)]
    [episode] = local_sampler(task, 1, 1).sample(policy.begin(), EpisodePlan(0, [0]))
    far_away = replace(episode.trajectory, actions=np.array(path), errors=np.full(60, -3.0))
    gaits = gaits_like([replace(episode, trajectory=far_away)], task.spaces.fingers)
    for factor, gait in zip(FACTORS, gaits, strict=True):
        again = GaitSearch(task.spaces, 0, 1, 1, [gait]).policy(0)
        assert again.speed == pytest.approx(factor * policy.speed, rel=0.03)
        np.testing.assert_allclose(again.offset, policy.offset, atol=0.05)
        swing, shown_swing = (p.amplitude * np.exp(1j * p.lead) for p in (again, policy))
        np.testing.assert_allclose(swing, shown_swing, atol=0.08)


def test_what_is_too_short_shows_no_gait(slow):
    path = slow[0].trajectory
    near = replace(path, errors=np.zeros(len(path.errors)))
    assert gaits_like([], FLIP.spaces.fingers) == []
    assert gaits_like([replace(slow[0], trajectory=near)], FLIP.spaces.fingers) == []


def test_a_search_tries_what_was_shown_first_and_then_its_children(slow):
    gaits = gaits_like(slow, FLIP.spaces.fingers)
    search = GaitSearch(FLIP.spaces, 0, 1, 20, gaits)
    for gait in gaits:
        np.testing.assert_array_equal(search._next()[0], gait)
        search.tell(slow[0])
    assert [search._next()[1] for _ in range(3)] == [False] * 3, "no random gait follows"


def test_slow_demonstrations_lead_to_successes_within_three_minutes(slow):
    search = GaitSearch(FLIP.spaces, 11, 1, 25, gaits_like(slow, FLIP.spaces.fingers))
    sampler = local_sampler(FLIP, 1, 1)
    while not search.ended:
        plan = EpisodePlan(11, [search.episodes])
        search.tell(next(iter(sampler.sample(search.policy(0), plan))))
    assert search.succeeded


def test_the_robot_searches_before_it_clones_what_was_shown_and_a_resumed_run_goes_on(slow):
    sampler = local_sampler(FLIP, 1, 1)
    one, two = (Rlpd(FLIP.spaces, CONFIG, 0, slow) for _ in range(2))
    done = []
    for number in range(3):
        assert one.update_meanwhile() == {}, "nothing is learned before the search has ended"
        assert "gait_offset" in one.policy().tensors()
        episodes = list(sampler.sample(one.policy(), EpisodePlan(0, [number])))
        one.update(episodes)
        done += episodes
        if number == 0:
            two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
            two.recall(done)
    for episode in done[1:]:
        two.update([episode])
    tensors, resumed = one.policy().tensors(), two.policy().tensors()
    assert "gait_offset" not in tensors, "a clone acts now"
    assert all(np.array_equal(tensors[name], resumed[name]) for name in tensors)


def test_demonstrations_with_a_success_are_cloned_at_once(slow):
    good = replace(slow[0], outcome=Outcome(success=True, strict_success=True))
    learner = Rlpd(FLIP.spaces, CONFIG, 0, [good, slow[1]])
    assert "gait_offset" not in learner.policy().tensors()
