"""Mark of the goal in pictures."""

import mujoco
import numpy as np

from handlab_core.objects.fixture import FIXTURES


def test_goals_are_marked_about_the_objects_axis():
    valve, flip = (FIXTURES.make(name) for name in ("valve", "flip"))
    np.testing.assert_allclose(valve.mark_position(0.0), (0.125, 0.0, 0.102))
    np.testing.assert_allclose(valve.mark_position(np.pi / 2), (0.0, 0.125, 0.102), atol=1e-12)
    down, side, up = (flip.mark_position(a) for a in (0.0, np.pi / 2, np.pi))
    assert down[2] < side[2] < up[2] and down[0] == side[0] == up[0]
    assert side[1] > 0.01  # a positive turn about x brings what is below to +y


def test_the_marked_side_goes_where_the_mark_is(compiled, hand):
    """The mark's start turned by the joint is where the mark says, for every object."""
    for name in sorted(FIXTURES):
        fixture = FIXTURES.make(name)
        model = compiled(hand, fixture)
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        body = data.body(model.body(model.joint(fixture.joint).bodyid[0]).name)
        start = np.array(fixture.mark_position(0.0)) - body.xpos
        data.joint(fixture.joint).qpos[0] = 0.7 * fixture.per_rad
        mujoco.mj_kinematics(model, data)
        turned = body.xpos + body.xmat.reshape(3, 3) @ start
        np.testing.assert_allclose(fixture.mark_position(0.7), turned, atol=1e-9)
