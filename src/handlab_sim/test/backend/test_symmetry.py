"""A task that calls itself symmetric is so in MuJoCo, whichever fingers are exchanged."""

import numpy as np
import pytest

from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import TASKS, make_task
from handlab_sim.backend import MujocoBackend

SYMMETRIC = sorted(name for name in TASKS if make_task(name).spaces.symmetries)
STEPS = 12


def run(task, actions):
    """Observations and rewards of fixed actions."""
    env = Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture)), teleport=True)
    observation, _ = env.reset(3, np.array([0]))
    observations, rewards = [observation[0]], []
    for action in actions:
        step = env.step(action[None])
        observations.append(step.observation[0])
        rewards.append(env.reward(step).total[0])
    return np.array(observations), np.array(rewards)


def test_the_valves_and_the_pose_of_the_claw_are_symmetric():
    assert SYMMETRIC == ["pose", "valve", "valve_foam", "valve_random", "valve_tracking"]


@pytest.mark.parametrize("name", [name for name in SYMMETRIC if name != "pose"])
def test_exchanged_fingers_do_the_same_to_the_object(name):
    """But for the rounded angles of the mounts in the URDF; two swapped fingers do something else.

    Contacts amplify the rounding, hence the median over six episodes.
    """
    task = make_task(name)
    size, [turned, _] = task.observation_size, task.spaces.symmetries
    swapped = [3, 4, 5, 0, 1, 2, 6, 7, 8]
    mirrored = [*swapped, *range(9, size - 9), *(size - 9 + joint for joint in swapped)]
    differences = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        actions = np.repeat(rng.uniform(-1, 1, (STEPS // 4, task.hand.n)), 4, axis=0)
        plain, _ = run(task, actions)
        exchanged, _ = run(task, actions[:, turned.action])
        wrong, _ = run(task, actions[:, swapped])
        pairs = ((exchanged, turned.observation), (wrong, mirrored))
        differences.append([np.abs(own[-1] - plain[-1, list(o)]).max() for own, o in pairs])
    symmetric, other = np.median(differences, axis=0)
    assert symmetric < 0.2 < other


def test_three_exchanges_of_three_fingers_are_none():
    spaces = make_task("valve").spaces
    one, two = spaces.symmetries
    for part in ("observation", "action"):
        a, b = np.array(getattr(one, part)), np.array(getattr(two, part))
        np.testing.assert_array_equal(a[a], b)
        np.testing.assert_array_equal(a[b], np.arange(len(a)))
