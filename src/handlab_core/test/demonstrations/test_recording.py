"""From recorded motion to episodes."""

import numpy as np
import pytest

from handlab_core.demonstrations.recording import to_episode
from handlab_core.errors import BadDemonstrations
from handlab_core.tasks import make_task
from handlab_core.types import ObjectEstimate

TASK = make_task("valve")
HAND, FIXTURE = TASK.hand, TASK.fixture
N = HAND.n


def test_states_are_taken_one_control_period_apart(recorded):
    episode = to_episode(recorded(), TASK)
    assert episode.steps == 10 and episode.time.experience_s == pytest.approx(1.0)
    np.testing.assert_allclose(episode.trajectory.errors, 0.05 * np.arange(1, 11) - np.pi)
    joints = HAND.normalise(HAND.nominal + 0.01 * np.arange(11)[:, None])
    np.testing.assert_allclose(episode.trajectory.observations[:, :N], joints, atol=1e-12)
    assert (episode.number, episode.key.seed, episode.time.reset_s) == (3, 7, 2.0)


def test_faster_readings_show_the_same_episode(recorded):
    fast, slow = to_episode(recorded(0.01), TASK), to_episode(recorded(0.1), TASK)
    np.testing.assert_allclose(
        fast.trajectory.observations, slow.trajectory.observations, atol=1e-12
    )


def test_a_stream_that_was_silent_shows_nothing(recorded):
    motion = recorded()
    kept = (motion.object.stamp < 5.4) | (motion.object.stamp > 5.8)
    obj = ObjectEstimate(*(getattr(motion.object, n)[kept] for n in ("stamp", "angle", "velocity")))
    with pytest.raises(BadDemonstrations, match=r"the object was silent for 0\.2. s"):
        to_episode(recorded(object=obj), TASK)
    with pytest.raises(BadDemonstrations, match=r"5 control periods"):
        to_episode(recorded(seconds=0.3), TASK)
    with pytest.raises(BadDemonstrations, match=r"the hand was silent for 1\.00 s at 4\.00 s"):
        to_episode(recorded(began=4.0), TASK)


def test_what_was_recorded_before_and_after_does_not_count(recorded):
    motion = recorded(seconds=1.0, began=5.2, ended=5.9).within()
    assert motion.hand.stamp[[0, -1]].tolist() == [5.2, 5.9]
    assert motion.object.stamp[[0, -1]].tolist() == [5.2, 5.9]
