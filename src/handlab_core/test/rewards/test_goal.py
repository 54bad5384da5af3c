"""Parts of the observation that describe the goal."""

from dataclasses import replace

import numpy as np

from handlab_core.rewards.goal import ObjectAim
from handlab_core.tasks import make_task


def test_an_object_that_repeats_looks_the_same_there_but_is_not_as_far(situation):
    hand, obj, goal, _ = situation(make_task("valve_random"))
    turned = replace(obj, angle=obj.angle + 2 * np.pi / 3)
    a, b = (ObjectAim(3).parts(hand, x, goal) for x in (obj, turned))
    np.testing.assert_allclose(a[0], b[0], atol=1e-12)
    np.testing.assert_allclose(a[1], b[1], atol=1e-12)
    np.testing.assert_allclose(b[2] - a[2], 2 * np.pi / 3)


def test_a_bent_error_is_fine_near_the_goal_and_a_sign_far_from_it(situation):
    hand, obj, goal, _ = situation(make_task("valve_random"))
    for error, seen in ((0.01, 0.04), (-0.01, -0.04), (2.0, 1.0), (-5.0, -1.0)):
        off = replace(obj, angle=goal.at(obj.stamp)[:, 0] + error)
        plain, bent = ObjectAim(3, fine=0.25).parts(hand, off, goal)[2:]
        np.testing.assert_allclose(plain[:, 0], error, atol=1e-12)
        np.testing.assert_allclose(bent[:, 0], seen, atol=1e-4)


def test_who_follows_a_goal_sees_how_fast_it_turns(situation):
    hand, obj, goal, _ = situation(make_task("valve_tracking"))
    aim = ObjectAim(3, moving=True)
    assert dict(aim.layout(9))["goal_velocity"] == 1
    np.testing.assert_array_equal(aim.parts(hand, obj, goal)[-1], goal.velocity)
