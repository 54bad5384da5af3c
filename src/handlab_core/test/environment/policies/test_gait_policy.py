"""A gait's phase: it follows the error, stops at the goal, and belongs to one episode."""

import numpy as np
import pytest

from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.errors import BadRun
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces

SPACES = Spaces(2, 1, 60)


@pytest.fixture
def gait():
    return GaitPolicy(np.zeros(1), np.ones(1), np.zeros(1), 0.1, 1, 0.5, 3)


def seen(error):
    return np.array([[9.0, error]])


def test_the_phase_follows_the_error_and_stops_at_the_goal(gait):
    acting = gait.begin()
    errors = [-1.0, -1.0, -0.15, 0.01, 1.0, 1.0]  # full, full, half speed, goal, beyond it twice
    phases = [0.1, 0.2, 0.25, 0.25, 0.15, 0.05]
    actions = [acting.act(seen(error))[0, 0] for error in errors]
    np.testing.assert_allclose(actions, np.sin(phases))


def test_each_robot_has_a_phase_of_its_own(gait):
    acting = gait.begin()
    both = np.array([[0.0, -1.0], [0.0, 1.0]])
    acting.act(both)
    np.testing.assert_allclose(acting.act(both)[:, 0], np.sin([0.2, -0.2]))


def test_an_episode_begins_with_the_first_phase(gait):
    first = gait.begin()
    action = first.act(seen(-1.0))
    assert not np.array_equal(first.act(seen(-1.0)), action)
    np.testing.assert_array_equal(gait.begin().act(seen(-1.0)), action)
    np.testing.assert_array_equal(first.begin().act(seen(-1.0)), action)


def test_noise_has_the_policys_deviation_and_no_memory(gait):
    clean, noisy = gait.begin(), gait.begin()
    for _ in range(3):
        difference = noisy.act(seen(-1.0), np.array([[2.0]])) - clean.act(seen(-1.0))
        np.testing.assert_allclose(difference, [[1.0]])


def test_a_gait_survives_a_file_bit_for_bit(gait):
    after = policy_from_tensors(gait.tensors(), gait.version, SPACES)
    assert isinstance(after, GaitPolicy) and after.version == gait.version
    one, two = gait.begin(), after.begin()
    for error in (-1.0, -0.2, 0.4):
        np.testing.assert_array_equal(one.act(seen(error)), two.act(seen(error)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gait_lead": None}, "p lacks gait_lead"),
        ({"shift": np.zeros(2)}, "has 'shift', which no gait has"),
        ({"gait_offset": np.zeros(3)}, "gait_offset of p has shape"),
        ({"gait_motion": np.array([0.1, 2.0, 0.0])}, "element 2 .* 0 to 1"),
        ({"gait_motion": np.array([0.1, 0.5, 0.0])}, "element 0.5"),
        ({"gait_motion": np.array([0.1, 1.0, -1.0])}, "deviation -1"),
        ({"gait_motion": np.array([np.nan, 1.0, 0.0])}, "gait_motion of p holds nan"),
    ],
)
def test_tensors_of_no_gait_are_refused_by_name(gait, change, message):
    tensors = {n: t for n, t in (gait.tensors() | change).items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")


@pytest.mark.parametrize("name", ["valve", "flip", "valve_random", "valve_foam", "allegro_valve"])
def test_a_gait_reads_the_error_of_every_task_of_an_object(name):
    task = make_task(name)
    fingers = task.spaces.fingers
    names = [part for part, size in task.layout for _ in range(size)]
    assert names[fingers.error] == "error"
    alike = task.hand.alike if task.symmetric else ()
    for index, joint in enumerate(task.hand.joints):
        [place] = [i for i, finger in enumerate(alike) if joint in finger] or [0]
        assert fingers.finger[index] == place
    for joints in zip(*alike, strict=True):
        assert len({fingers.joint[task.hand.index(joint)] for joint in joints}) == 1


def test_a_task_without_an_object_offers_no_gait():
    assert make_task("pose").spaces.fingers is None
