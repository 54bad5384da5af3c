"""Transitions of n steps, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import Outcome
from handlab_core.tasks import make_task
from handlab_learning.off_policy.replay import FIRST_ROWS, Replay, transitions

TASK = make_task("valve")
SEEN, ACTS = TASK.observation_size, TASK.hand.n
BOTH = SEEN + ACTS


@pytest.fixture
def episode(episodes_of, squashed):
    rng = np.random.default_rng(0)
    [made] = episodes_of(TASK, squashed, rng, lambda a: a.sum(-1), count=1, steps=4)
    rewards = np.array([1.0, 2.0, 4.0, 8.0])
    return replace(made, trajectory=replace(made.trajectory, rewards=rewards))


def test_transitions_of_one_step(episode):
    rows = transitions(episode, 1, 0.5, 10.0)
    np.testing.assert_array_equal(rows[:, :SEEN], episode.trajectory.observations[:-1])
    np.testing.assert_array_equal(rows[:, SEEN:BOTH], episode.trajectory.actions)
    np.testing.assert_array_equal(rows[:, BOTH], [10.0, 20.0, 40.0, 80.0])
    np.testing.assert_array_equal(rows[:, BOTH + 1], [0.5] * 4)
    np.testing.assert_array_equal(rows[:, BOTH + 2 :], episode.trajectory.observations[1:])


def test_transitions_of_three_steps_are_shorter_at_the_end(episode):
    """1 + 2/2 + 4/4 = 3, 2 + 4/2 + 8/4 = 6, 4 + 8/2 = 8, 8."""
    rows = transitions(episode, 3, 0.5, 1.0)
    np.testing.assert_array_equal(rows[:, BOTH], [3.0, 6.0, 8.0, 8.0])
    np.testing.assert_array_equal(rows[:, BOTH + 1], [1 / 8, 1 / 8, 1 / 4, 1 / 2])
    following = episode.trajectory.observations[[3, 4, 4, 4]]
    np.testing.assert_array_equal(rows[:, BOTH + 2 :], following)


def test_a_state_after_the_time_is_over_keeps_its_value_and_one_after_the_end_has_none(episode):
    ended = replace(episode, outcome=Outcome(True, True, terminated=True))
    rows = transitions(ended, 2, 0.5, 1.0)
    np.testing.assert_array_equal(rows[:, BOTH + 1], [1 / 4, 1 / 4, 0.0, 0.0])


def test_actions_count_as_the_hand_got_them(episode):
    beyond = replace(episode.trajectory, actions=np.full((4, ACTS), 3.0))
    rows = transitions(replace(episode, trajectory=beyond), 1, 0.5, 1.0)
    assert (rows[:, SEEN:BOTH] == 1.0).all()


def test_a_memory_grows_and_draws_from_all_of_it(episode):
    memory = Replay(TASK.spaces, 1, 0.5, 1.0, False)
    count = FIRST_ROWS // 4 + 3
    memory.add([episode] * count)
    assert len(memory) == 4 * count and memory.episodes == count
    batch = memory.batch(memory.draw(4000, torch.Generator().manual_seed(0)))
    assert batch.taken.shape == (4000, BOTH) and batch.following.shape == (4000, SEEN)
    values, counts = torch.unique(batch.reward, return_counts=True)
    assert values.tolist() == [1.0, 2.0, 4.0, 8.0]
    assert counts.min() > 900
    torch.testing.assert_close(batch.taken, torch.cat((batch.observation, batch.action), 1))


def test_alike_fingers_are_exchanged_in_every_part_of_a_transition(episode):
    """The claw's three fingers; the object's part of the observation stays."""
    memory = Replay(TASK.spaces, 1, 0.5, 1.0, True)
    memory.add([episode])
    assert len(memory) == 3 * episode.steps and memory.episodes == 1
    batch = memory.batch(memory._rows[: 3 * episode.steps])
    first, second = (batch.observation[k : k + 1] for k in (0, episode.steps))
    fingers = [slice(3 * k, 3 * k + 3) for k in range(3)]
    for one, other in zip(fingers, (fingers[1], fingers[2], fingers[0]), strict=True):
        assert torch.equal(second[:, one], first[:, other])
        assert torch.equal(batch.action[4:8, one], batch.action[:4, other])
        last = slice(SEEN - ACTS + one.start, SEEN - ACTS + one.stop)
        taken = slice(SEEN - ACTS + other.start, SEEN - ACTS + other.stop)
        assert torch.equal(batch.following[4:8, last], batch.following[:4, taken])
    assert torch.equal(second[:, 9 : SEEN - 9], first[:, 9 : SEEN - 9])
    assert torch.equal(batch.reward[:4], batch.reward[4:8])
