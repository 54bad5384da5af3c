"""The scripted teachers, step by step."""

import numpy as np
import pytest

from handlab_core.demonstrations.gait import Gait
from handlab_core.demonstrations.scripted_teacher import GaitTeacher, PoseTeacher, TeacherConfig
from handlab_core.errors import BadConfig
from handlab_core.rewards.goal import ObjectAim, PoseAim
from handlab_core.types import Goal, JointState, ObjectEstimate

GAIT = Gait(np.array([[0.0, 0.0], [1.0, 0.5], [1.0, -0.5]]), np.array(2.0), np.array(0.5))


def led(kind, *args, teacher_config=None, aim=None, count=1, start=(0.0, 0.0)):
    """A function from joints, (N, 2) rad, and error [rad] to where a teacher then holds them."""
    rngs = [np.random.default_rng(i) for i in range(count)]
    begin = np.tile(start, (count, 1))
    lead = kind(*args, aim or ObjectAim(), teacher_config or TeacherConfig(), rngs, begin)
    still = np.zeros(count)

    def tick(q, angle, goal=0.0):
        hand = JointState(still, *(np.broadcast_to(x, (count, 2)) for x in (q, 0.0, 0.0)))
        goals = np.broadcast_to(goal, (count, np.size(goal)))
        target = Goal(still.astype(int), still, goals, np.zeros_like(goals))
        return lead.tick(hand, ObjectEstimate(still, still + angle, still), target, 0.1)

    return tick


def test_a_teacher_slows_down_stops_and_goes_back():
    tick = led(GaitTeacher, GAIT, start=(-0.3, 0.15))
    for pose in ([-0.1, 0.05], [0.0, 0.0]):  # to the gait, no faster than round it
        np.testing.assert_allclose(tick([0.0, 0.0], -3.0), [pose], atol=1e-12)
    np.testing.assert_allclose(tick([0.0, 0.0], -3.0), [[0.2, 0.1]])  # at full speed, 2 rad/s
    np.testing.assert_allclose(tick([0.0, 0.0], -0.25), [[0.3, 0.15]])  # at half
    rest = tick([0.28, 0.1], 0.01)
    np.testing.assert_array_equal(rest, [[0.28, 0.1]])  # no pressure is left
    np.testing.assert_array_equal(tick([0.0, 0.0], 0.05), rest)  # not worth it
    np.testing.assert_allclose(tick([0.0, 0.0], 0.25), [[0.2, 0.1]])  # back


def test_a_teacher_leads_straight_to_a_pose_and_stays():
    """At 2 rad/s, of the joint that has farthest to go."""
    tick = led(PoseTeacher, aim=PoseAim())
    pose = [0.5, -0.25]
    np.testing.assert_allclose(tick([0.0, 0.0], 0.0, pose), [[0.2, -0.1]])
    np.testing.assert_allclose(tick([0.0, 0.0], 0.0, pose), [[0.4, -0.2]])
    for _ in range(2):
        np.testing.assert_allclose(tick([0.4, -0.2], 0.0, pose), [pose])


@pytest.mark.parametrize("kind", ["gait", "pose"])
def test_a_teacher_that_fails_breaks_off_for_good(kind):
    fails = TeacherConfig(failures=1.0)
    if kind == "gait":
        tick = led(GaitTeacher, GAIT, teacher_config=fails, count=3)
        for angle in np.linspace(-3.0, -0.3, 40):
            rest = tick([0.0, 0.0], angle)
        np.testing.assert_array_equal(tick([0.0, 0.0], -3.0), rest)
        return
    tick = led(PoseTeacher, teacher_config=fails, aim=PoseAim(), count=3)
    rest = np.zeros((3, 2))
    for _ in range(10):
        rest = tick(rest, 0.0, [1.0, 1.0])
    assert (rest < 0.99).all()
    np.testing.assert_array_equal(tick([0.0, 0.0], 0.0, [1.0, 1.0]), rest)


@pytest.mark.parametrize(
    "wrong", [{"speed": 0.0}, {"noise": -1.0}, {"failures": 1.5}, {"speed": float("nan")}]
)
def test_a_teacher_config_that_cannot_be_is_refused(wrong):
    with pytest.raises(BadConfig, match=f"{next(iter(wrong))} is "):
        TeacherConfig(**wrong)
