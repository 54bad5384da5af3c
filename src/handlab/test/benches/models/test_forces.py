"""Estimated forces at fingertips beside MuJoCo: a force that is applied, and contacts."""

import json

import mujoco
import numpy as np
import pytest

from handlab.benches.models import forces
from handlab.benches.result import as_text
from handlab.graph.config import station_description
from handlab_core.hands.fingertip_force import FingertipForces
from handlab_core.hands.kinematics import KinematicTree
from handlab_core.tasks import make_task
from handlab_sim.scene import SceneConfig, build_spec


@pytest.mark.parametrize("name", forces.TASKS)
def test_the_force_of_a_hand_that_is_pushed_at_its_tips_is_known_exactly(name):
    """At rest, without contacts: within a ten-thousandth of a force of up to 2 N."""
    task = make_task(name)
    hand, tree = task.hand, KinematicTree(station_description(name))
    model = build_spec(hand, task.fixture, SceneConfig(timestep=0.002)).compile()
    model.geom_contype[:] = model.geom_conaffinity[:] = 0
    data = mujoco.MjData(model)
    q_at = [model.joint(joint).qposadr[0] for joint in hand.joints]
    data.qpos[q_at] = data.ctrl[: hand.n] = hand.nominal
    largest = 2.0 * hand.max_effort.min() / make_task("valve").hand.max_effort.min()
    pushed = np.random.default_rng(1).uniform(-largest, largest, (len(hand.fingertips), 3))
    for _ in range(3000):
        data.qfrc_applied[:] = 0.0
        for tip, force in zip(hand.fingertips, pushed, strict=True):
            body = model.body(tip).id
            mujoco.mj_applyFT(
                model, data, -force, np.zeros(3), data.xpos[body], body, data.qfrc_applied
            )
        mujoco.mj_step(model, data)
    positions = dict(zip(hand.joints, data.qpos[q_at].tolist(), strict=True))
    found = FingertipForces(tree, hand).estimate(
        positions, np.zeros(hand.n), data.actuator_force[: hand.n], np.zeros(hand.n)
    )
    np.testing.assert_allclose([force.force for force in found], pushed, atol=1e-4 * largest)


def test_contact_forces_of_a_claw_that_presses_are_found_within_the_limit():
    result = forces.measure(0, presses=8)
    row = result.details["hands"]["valve"]
    assert row["contacts"] >= 5 and row["force_median_N"] > 1.0
    assert result.value == row["median"] and result.ratio < 1.0
    cell = forces._cell(json.loads(as_text(result.plain())))
    assert f"`valve` **{row['median']:.0%}**" in cell and "`leap_valve`" in cell
