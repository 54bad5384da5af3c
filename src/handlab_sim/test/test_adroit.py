"""The Adroit suite: episodes are functions of seed and number, rewards and rules the published."""

from dataclasses import replace

import gymnasium_robotics
import minari
import mujoco
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.policy import GaussianPolicy
from handlab_core.suite import SUITE, Held, find_task
from handlab_core.variation import ObjectVariation, parse_variations
from handlab_sim.adroit import AdroitWorld
from handlab_sim.adroit_objects import BODIES, FIELDS, AdroitObject
from handlab_sim.minari_data import read_dataset

SHORT = 12
"""Steps, for tests."""


def short(name):
    return replace(find_task(name), steps=SHORT, success=Held(2))


def policy_of(task, rng, scale=0.3):
    """One that does something everywhere."""
    n = task.spaces
    return GaussianPolicy(
        (scale * rng.normal(size=(n.observation, n.action)),), (np.zeros(n.action),),
        np.full(n.action, -1.0), np.zeros(n.observation), np.ones(n.observation), 4,
    )  # fmt: skip


@pytest.fixture
def policy():
    return policy_of


@pytest.mark.parametrize("name", list(SUITE))
def test_sizes_are_those_of_the_environment(name):
    task, world = find_task(name), AdroitWorld(find_task(name))
    assert world.env.observation_space.shape == (task.observation_size,)
    assert world.env.action_space.shape == (task.action_size,)
    assert world.env.dt == pytest.approx(task.period)


@pytest.mark.parametrize("name", list(SUITE))
def test_an_episode_is_a_function_of_policy_seed_and_number(name, policy):
    """Also where other episodes, with other objects, came before."""
    task = short(name)
    vary = parse_variations(["object.mass=0.5:2"])
    acts = policy(task, np.random.default_rng(0))
    fresh, used = AdroitWorld(task, vary), AdroitWorld(task, vary)
    for number in (3, 9):
        used.episode(acts, 1, number)
    a, b = fresh.episode(acts, 1, 5), used.episode(acts, 1, 5)
    for field in ("observations", "actions", "rewards", "errors"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert a.episode == 5 and a.policy_version == 4 and a.experience_s == SHORT * task.period
    other = fresh.episode(acts, 1, 6)
    assert not np.array_equal(a.observations[0], other.observations[0]) or name == "adroit_pen"
    assert not np.array_equal(a.actions, other.actions)


@pytest.mark.parametrize(
    ("name", "palm_to_object"),
    [
        ("adroit_door", lambda o: o[:, 35:38]),  # palm minus handle
        ("adroit_hammer", lambda o: o[:, 33:36] - o[:, 36:39]),  # palm, object
        ("adroit_relocate", lambda o: o[:, 30:33]),  # palm minus object
        ("adroit_pen", lambda o: np.zeros((len(o), 3))),
    ],
)
def test_the_published_reward_takes_the_palms_distance_off(name, palm_to_object, policy):
    """gymnasium-robotics adds 0.1 of it instead: the two differ by 0.2 of it."""
    task = short(name)
    acts = policy(task, np.random.default_rng(0))
    ours = AdroitWorld(task).episode(acts, 0, 0)
    theirs = AdroitWorld(task.with_reward("gymnasium")).episode(acts, 0, 0)
    distance = np.linalg.norm(palm_to_object(ours.observations[1:]), axis=1)
    np.testing.assert_allclose(theirs.rewards - ours.rewards, 0.2 * distance, atol=1e-9)


@pytest.mark.parametrize(("reached", "success"), [(2, False), (3, True)])
def test_success_is_more_steps_than_asked_for(policy, reached, success):
    """As if the environment had told so many successful steps."""
    task = short("adroit_door")
    world = AdroitWorld(task)
    step, told = world.env.step, iter([True] * reached + [False] * (SHORT - reached))
    world.env.step = lambda action: (*step(action)[:4], {"success": next(told)})
    assert world.episode(policy(task, np.random.default_rng(0)), 0, 0).success is success


def test_errors_are_of_what_success_is_about(policy):
    """An untouched door is a quarter turn from open; the others begin where the ball lies."""
    door = short("adroit_door")
    still = policy(door, np.random.default_rng(0), scale=0.0)
    errors = AdroitWorld(door).episode(still, 0, 0, deterministic=True).errors
    np.testing.assert_allclose(errors, np.pi / 2, atol=0.05)
    ball = short("adroit_relocate")
    episode = AdroitWorld(ball).episode(policy(ball, np.random.default_rng(0)), 0, 0)
    to_goal = np.linalg.norm(episode.observations[1:, -3:], axis=1)
    np.testing.assert_allclose(episode.errors, to_goal, atol=1e-12)


@pytest.mark.parametrize("name", ["adroit_relocate", "adroit_hammer", "adroit_pen"])
def test_a_larger_object_is_what_a_larger_one_compiles_to(name):
    """Each number of the edited model is that of a model whose description was edited."""
    task, scale = find_task(name), 1.3
    world = AdroitWorld(task)
    plain = AdroitObject(task, world.env.model, world.env.data)
    plain.become(ObjectVariation(scale=scale))
    file = task.environment.removeprefix("AdroitHand").lower()
    assets = gymnasium_robotics.__path__[0]
    spec = mujoco.MjSpec.from_file(f"{assets}/envs/assets/adroit_hand/adroit_{file}.xml")
    [body_name] = BODIES[task.environment]
    body = spec.body(body_name)
    explicit = body.mass > 0
    body.mass, body.inertia = body.mass * scale**3, body.inertia * scale**5
    body.ipos = body.ipos * scale
    if name != "adroit_pen":
        body.pos = body.pos * [1, 1, scale]
    for geom in body.geoms:
        geom.size, geom.pos = geom.size * scale, geom.pos * scale
    for site in body.sites:
        site.pos = site.pos * scale
    compiled = spec.compile()
    assert explicit == (name != "adroit_pen")  # the pen's mass is that of its volume
    loose = {"body_subtreemass", "body_invweight0", "dof_invweight0"}
    for field in sorted({*FIELDS, *loose}):
        expected = getattr(compiled, field)
        np.testing.assert_allclose(
            getattr(world.env.model, field), expected, rtol=2e-3, atol=1e-9, err_msg=field
        )


def test_an_object_comes_back_to_what_it_was(policy):
    task = short("adroit_relocate")
    world = AdroitWorld(task)
    acts = policy(task, np.random.default_rng(0))
    before = world.episode(acts, 0, 0)
    thing = AdroitObject(task, world.env.model, world.env.data)
    thing.become(ObjectVariation(scale=1.5, mass=3.0, friction=0.3, damping=2.0))
    assert world.env.model.body("Object").mass[0] == pytest.approx(0.179594 * 3 * 1.5**3)
    thing.become(ObjectVariation())
    np.testing.assert_array_equal(world.episode(acts, 0, 0).observations, before.observations)


@pytest.mark.parametrize(
    ("name", "vary"), [("adroit_door", {"scale": 1.2}), ("adroit_pen", {"stiffness": 2.0})]
)
def test_what_cannot_vary_is_refused(name, vary):
    world = AdroitWorld(find_task(name))
    thing = AdroitObject(world.task, world.env.model, world.env.data)
    with pytest.raises(BadConfig, match=r"vary object\."):
        thing.become(ObjectVariation(**vary))


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """A folder of Minari's with two episodes of the door, one cut off in its middle."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    task = find_task("adroit_door")
    rng, buffers = np.random.default_rng(0), []
    for number, (steps, good) in enumerate(((40, 30), (30, 10))):
        success = np.arange(steps) >= steps - good
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=rng.normal(size=(steps + 1, task.observation_size)),
                actions=rng.uniform(-1, 1, (steps, task.action_size)).astype(np.float32),
                rewards=np.arange(float(steps)).tolist(),
                terminations=[False] * steps,
                truncations=[False] * (steps - 1) + [True],
                infos={"success": success},
            )
        )
    minari.create_dataset_from_buffers(
        dataset_id="test/door-v0", buffer=buffers, env="AdroitHandDoor-v1"
    )
    return task


def test_a_dataset_becomes_episodes(datasets):
    one, two = read_dataset("test/door-v0", datasets)
    assert one.observations.shape == (41, 39) and one.actions.shape == (40, 28)
    assert one.success and not two.success
    np.testing.assert_array_equal(two.rewards, np.arange(30.0))


def test_a_dataset_of_another_task_is_refused(datasets):
    with pytest.raises(BadDemonstrations, match="recorded in AdroitHandDoor-v1; adroit_pen needs"):
        read_dataset("test/door-v0", find_task("adroit_pen"))


def test_a_dataset_that_is_not_there_is_named(datasets, monkeypatch):
    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    with pytest.raises(BadDemonstrations, match=r"'test/x-v0' for adroit_door.*D4RL/door/human-v2"):
        read_dataset("test/x-v0", datasets)
