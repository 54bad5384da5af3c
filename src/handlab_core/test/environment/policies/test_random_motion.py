"""Random motions: periodic, alike for alike fingers, and bounded."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.hold import Hold
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.environment.policies.random_motion import RandomMotion
from handlab_core.errors import BadRun
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces

VALVE = make_task("valve").spaces


@pytest.fixture
def motion():
    return RandomMotion.of_task(VALVE, 0.6, (6, 20), 2)


def test_a_motion_repeats_itself_with_one_period(motion):
    periods = set()
    for number in range(40):
        noise = motion.noise(np.random.default_rng(number), 60)
        [period, *_] = [p for p in range(2, 60) if np.array_equal(noise[p:], noise[:-p])]
        periods.add(period)
    assert min(periods) == 6 and max(periods) == 20


def test_alike_fingers_make_the_same_motion_one_after_the_other(motion):
    noise = motion.noise(np.random.default_rng(1), 60)
    fingers = noise.reshape(60, 3, 3)  # steps, fingers, joints
    shifts = [
        [s for s in range(20) if np.array_equal(fingers[s:40, i], fingers[: 40 - s, 0])]
        or [s for s in range(20) if np.array_equal(fingers[:40, i][: 40 - s], fingers[s:40, 0])]
        for i in (1, 2)
    ]
    assert all(shifts)
    assert not np.array_equal(fingers[:, 0, 0], fingers[:, 0, 1])


def test_joints_without_alike_fingers_move_on_their_own():
    motion = RandomMotion.of_task(Spaces(3, 4, 60), 0.6, (6, 20), 0)
    noise = motion.noise(np.random.default_rng(0), 60)
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 0.99


def test_actions_are_scaled_and_stay_in_their_range(motion):
    noise = np.array([[0.5] * 9, [9.0] * 9])
    np.testing.assert_allclose(motion.act(np.zeros((2, 21)), noise), [[0.3] * 9, [1.0] * 9])
    np.testing.assert_array_equal(motion.act(np.zeros((2, 21))), np.zeros((2, 9)))


def test_at_the_goal_the_last_action_is_held():
    motion = RandomMotion.of_task(VALVE, 0.6, (6, 20), 2, hold=0.25)
    acting, far, near = motion.begin(), np.zeros((1, 21)), np.zeros((1, 21))
    far[0, VALVE.fingers.error] = 1.0
    seen = (near, 0.5), (far, 0.4), (near, 0.1), (near, 0.2), (far, 0.3)
    given = [acting.act(observation, np.full((1, 9), n))[0, 0] for observation, n in seen]
    np.testing.assert_allclose(given, np.array([0.5, 0.4, 0.4, 0.4, 0.3]) * 0.6)
    assert acting.begin().act(near, np.full((1, 9), 0.5))[0, 0] == 0.3
    np.testing.assert_allclose(motion.actions(np.array([0.5, 9.0])), [0.3, 1.0])


def test_a_task_without_an_object_has_no_hold():
    motion = RandomMotion.of_task(make_task("pose").spaces, 0.6, (6, 20), 2, hold=0.25)
    assert motion.hold.within == 0.0


def test_a_motion_survives_a_file(motion):
    motion = replace(motion, hold=Hold(0.25, 3))
    after = policy_from_tensors(motion.tensors(), 2, VALVE)
    assert isinstance(after, RandomMotion) and after.version == 2
    assert after.hold == motion.hold
    one, two = (m.noise(np.random.default_rng(3), 60) for m in (motion, after))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"motion_finger": None}, "p lacks motion_finger"),
        ({"shift": np.zeros(2)}, "has 'shift', which no motion has"),
        ({"motion_joint": np.full(9, 9.0)}, "motion_joint of p must hold numbers from 0 to 8"),
        ({"motion_finger": np.full(9, 0.5)}, "motion_finger of p must hold"),
        ({"motion_hold": np.array([0.2, 21.0])}, "motion_hold of p holds 0.2 and element 21"),
        ({"motion_form": np.array([0.5, 1.0, 20.0])}, "holds 0.5, 1 and 20"),
        ({"motion_form": np.array([0.5, 9.0, 8.0])}, "holds 0.5, 9 and 8"),
        ({"motion_form": np.array([-1.0, 6.0, 8.0])}, "holds -1"),
        ({"motion_form": np.array([0.5, 6.5, 8.0])}, "holds 0.5, 6.5"),
    ],
)
def test_tensors_of_no_motion_are_refused_by_name(motion, change, message):
    tensors = {n: t for n, t in (motion.tensors() | change).items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, VALVE, "p")
