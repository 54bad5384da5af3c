"""A safe motion is far from everything."""

import mujoco
import numpy as np

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_sim.scene import SceneConfig, build_spec

HAND, VALVE = make_hand("claw"), FIXTURES.make("valve")


def test_a_safe_motion_touches_nothing(room):
    model = build_spec(HAND, VALVE, SceneConfig()).compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(5)
    at = [model.joint(name).qposadr[0] for name in HAND.joints]
    data.qpos[model.joint("valve").qposadr[0]] = 0.3
    for _ in range(100):
        data.qpos[at] = room[0] + room[1] * rng.uniform(-1, 1, 9)
        mujoco.mj_fwdPosition(model, data)
        assert not data.ncon
    assert room[1].min() > 0.1
