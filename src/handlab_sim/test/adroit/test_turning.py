"""The hand with an object in a fixed grasp, by position targets and by pneumatic cylinders."""

import numpy as np
import pytest

from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.adroit.turning import JOINTS, PERIOD, STEPS, TURNINGS
from handlab_sim.adroit.environment import AdroitWorld
from handlab_sim.adroit.turning import DELAY, TurnEnv, grasp_target, pressures, rest

PNEUMATIC = TURNINGS["AdroitTurnPenPneumatic"]


@pytest.mark.parametrize("name", list(TURNINGS))
def test_without_an_action_the_grasp_holds_and_nothing_turns(name):
    env = TurnEnv(TURNINGS[name])
    first, _ = env.reset(seed=1)
    for _ in range(STEPS):
        seen, _, _, _, info = env.step(np.zeros(env.action_space.shape))
        assert not info["success"]
    np.testing.assert_allclose(seen[JOINTS : JOINTS + 6], first[JOINTS : JOINTS + 6], atol=0.1)
    assert env.error == pytest.approx(-env.turning.goal, abs=0.1)


def test_a_pressure_follows_its_valve_with_the_delay():
    env = TurnEnv(PNEUMATIC)
    before = env.reset(seed=0)[0][-40:]
    action = np.zeros(40)
    action[0] = 2 * (0.8 - before[0])  # the valve's command becomes 0.8
    after = env.step(action)[0][-40:]
    share = 1 - np.exp(-PERIOD / DELAY)
    assert after[0] == pytest.approx(before[0] + share * (0.8 - before[0]), abs=0.02)
    np.testing.assert_allclose(after[1:], before[1:], atol=1e-6)


def test_pressures_of_the_grasp_make_the_torques_of_its_position_targets():
    place, targets, torque = rest(TURNINGS["AdroitTurnPen"])
    env = TurnEnv(PNEUMATIC)
    found = pressures(env.model, env.data, torque)
    assert found.shape == (40,) and found.min() > 0.0 and found.max() < 1.0
    env.data.qpos[:], env.data.act[:] = place, found
    env.reset(seed=0)
    np.testing.assert_allclose(env.data.qfrc_actuator[:JOINTS], torque, atol=1e-3)
    assert np.abs(torque).max() > 0.01 and len(targets) == JOINTS


def test_each_valve_pulls_one_joint_or_two_coupled_ones_against_another():
    """A pair of tendons of equal pressure makes no torque."""
    env = TurnEnv(PNEUMATIC)
    env.reset(seed=0)
    alone = pressures(env.model, env.data, np.zeros(JOINTS))
    np.testing.assert_allclose(alone, alone[0])
    assert env.model.nu == env.model.na == 40


def test_success_asks_for_a_turn_that_was_never_dropped_late_in_the_episode():
    env = TurnEnv(TURNINGS["AdroitTurnPen"])

    def last(drop: bool) -> list[bool]:
        env.reset(seed=0)
        env.data.joint("OBJRz").qpos[0] += env.turning.goal
        still, flags = np.zeros(JOINTS), []
        for step in range(STEPS):
            if drop and step == STEPS // 2:
                env.data.joint("OBJTx").qpos[0] += 0.2  # downwards
            flags.append(env.step(still)[4]["success"])
            if drop and step == STEPS // 2:
                env.data.joint("OBJTx").qpos[0] -= 0.2
                env.data.joint("OBJTx").qvel[0] = 0.0
        return flags

    kept = last(drop=False)
    assert not any(kept[: STEPS - STEPS // 5]) and all(kept[STEPS - STEPS // 5 :])
    assert not any(last(drop=True))


def test_starts_differ_by_little_and_are_functions_of_the_seed():
    env = TurnEnv(TURNINGS["AdroitTurnRod"])
    a, b, again = (env.reset(seed=seed)[0] for seed in (1, 2, 1))
    np.testing.assert_array_equal(a, again)
    assert 0.0 < np.abs(a - b).max() < 0.1


def test_targets_of_fingers_are_alike_and_the_thumb_has_its_own():
    assert grasp_target("FFJ2") == grasp_target("LFJ2") > 0.0
    assert grasp_target("THJ2") == grasp_target("WRJ0") == grasp_target("MFJ3") == 0.0


def test_a_world_runs_the_task(run, policy):
    task = find_task("adroit_turn_pen_pneumatic")
    acts = policy(task, np.random.default_rng(0), scale=0.0)
    episode = run(AdroitWorld(task), acts, 0, 0, deterministic=True)
    path = episode.trajectory
    assert not episode.success and path.errors[-1] == pytest.approx(-PNEUMATIC.goal, abs=0.1)
    expected = PNEUMATIC.reward(path.observations[1:], path.observations[1:])
    np.testing.assert_allclose(path.rewards, expected, atol=1e-9)
