"""The Adroit suite: episodes are functions of seed and number, rewards and rules the published."""

import numpy as np
import pytest

from handlab_core.tasks.adroit import SUITE, find_task
from handlab_core.tasks.variation import parse_variations
from handlab_sim.adroit.environment import AdroitWorld

SHORT = 12
"""Steps, for tests."""


@pytest.mark.parametrize("name", list(SUITE))
def test_sizes_are_those_of_the_environment(name):
    task, world = find_task(name), AdroitWorld(find_task(name))
    assert world.env.observation_space.shape == (task.observation_size,)
    assert world.env.action_space.shape == (task.action_size,)
    assert world.env.dt == pytest.approx(task.period)


@pytest.mark.parametrize("name", list(SUITE))
def test_an_episode_is_a_function_of_policy_seed_and_number(short, run, name, policy):
    """Also where other episodes, with other objects, came before."""
    task = short(name)
    vary = parse_variations(["object.mass=0.5:2"])
    acts = policy(task, np.random.default_rng(0))
    fresh, used = AdroitWorld(task, vary), AdroitWorld(task, vary)
    for number in (3, 9):
        run(used, acts, 1, number)
    a, b = run(fresh, acts, 1, 5), run(used, acts, 1, 5)
    for field in ("observations", "actions", "rewards", "errors"):
        np.testing.assert_array_equal(a.arrays[field], b.arrays[field])
    assert a.number == 5 and a.key.policy_version == 4
    assert a.time.experience_s == SHORT * task.period
    other = run(fresh, acts, 1, 6)
    assert (
        not np.array_equal(a.trajectory.observations[0], other.trajectory.observations[0])
        or name == "adroit_pen"
    )
    assert not np.array_equal(a.trajectory.actions, other.trajectory.actions)


@pytest.mark.parametrize(
    ("name", "palm_to_object"),
    [
        ("adroit_door", lambda o: o[:, 35:38]),  # palm minus handle
        ("adroit_hammer", lambda o: o[:, 33:36] - o[:, 36:39]),  # palm, object
        ("adroit_relocate", lambda o: o[:, 30:33]),  # palm minus object
        ("adroit_pen", lambda o: np.zeros((len(o), 3))),
    ],
)
def test_the_published_reward_takes_the_palms_distance_off(
    short, run, name, palm_to_object, policy
):
    """gymnasium-robotics adds 0.1 of it instead: the two differ by 0.2 of it."""
    task = short(name)
    acts = policy(task, np.random.default_rng(0))
    ours = run(AdroitWorld(task), acts, 0, 0).trajectory
    theirs = run(AdroitWorld(task.with_reward("gymnasium")), acts, 0, 0).trajectory
    distance = np.linalg.norm(palm_to_object(ours.observations[1:]), axis=1)
    np.testing.assert_allclose(theirs.rewards - ours.rewards, 0.2 * distance, atol=1e-9)


@pytest.mark.parametrize(("reached", "success"), [(2, False), (3, True)])
def test_success_is_more_steps_than_asked_for(short, run, policy, reached, success):
    """Make the environment report this number of successful steps."""
    task = short("adroit_door")
    world = AdroitWorld(task)
    step, flags = world.env.step, iter([True] * reached + [False] * (SHORT - reached))
    world.env.step = lambda action: (*step(action)[:4], {"success": next(flags)})
    assert run(world, policy(task, np.random.default_rng(0)), 0, 0).success is success


def test_errors_are_of_what_success_is_about(short, run, policy):
    """An untouched door is a quarter turn from open; the others begin where the ball lies."""
    door = short("adroit_door")
    still = policy(door, np.random.default_rng(0), scale=0.0)
    errors = run(AdroitWorld(door), still, 0, 0, deterministic=True).trajectory.errors
    np.testing.assert_allclose(errors, np.pi / 2, atol=0.05)
    ball = short("adroit_relocate")
    episode = run(AdroitWorld(ball), policy(ball, np.random.default_rng(0)), 0, 0)
    to_goal = np.linalg.norm(episode.trajectory.observations[1:, -3:], axis=1)
    np.testing.assert_allclose(episode.trajectory.errors, to_goal, atol=1e-12)
