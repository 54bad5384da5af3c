"""The Adroit suite: episodes are functions of seed and number, rewards and rules the published."""

import logging
import re
from dataclasses import replace

import gymnasium
import gymnasium_robotics
import h5py
import minari
import mujoco
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policy import GaussianPolicy
from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.tasks.adroit import SUITE, Held, find_task
from handlab_core.tasks.variation import ObjectVariation, parse_variations
from handlab_sim.adroit.environment import AdroitWorld
from handlab_sim.adroit.minari_dataset import read_dataset
from handlab_sim.adroit.objects import BODIES, FIELDS, AdroitObject

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


def run(world, policy, seed, number, deterministic=False):
    [episode] = world.sample(policy, EpisodePlan(seed, [number], deterministic))
    return episode


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
def test_the_published_reward_takes_the_palms_distance_off(name, palm_to_object, policy):
    """gymnasium-robotics adds 0.1 of it instead: the two differ by 0.2 of it."""
    task = short(name)
    acts = policy(task, np.random.default_rng(0))
    ours = run(AdroitWorld(task), acts, 0, 0).trajectory
    theirs = run(AdroitWorld(task.with_reward("gymnasium")), acts, 0, 0).trajectory
    distance = np.linalg.norm(palm_to_object(ours.observations[1:]), axis=1)
    np.testing.assert_allclose(theirs.rewards - ours.rewards, 0.2 * distance, atol=1e-9)


@pytest.mark.parametrize(("reached", "success"), [(2, False), (3, True)])
def test_success_is_more_steps_than_asked_for(policy, reached, success):
    """Make the environment report this number of successful steps."""
    task = short("adroit_door")
    world = AdroitWorld(task)
    step, flags = world.env.step, iter([True] * reached + [False] * (SHORT - reached))
    world.env.step = lambda action: (*step(action)[:4], {"success": next(flags)})
    assert run(world, policy(task, np.random.default_rng(0)), 0, 0).success is success


def test_errors_are_of_what_success_is_about(policy):
    """An untouched door is a quarter turn from open; the others begin where the ball lies."""
    door = short("adroit_door")
    still = policy(door, np.random.default_rng(0), scale=0.0)
    errors = run(AdroitWorld(door), still, 0, 0, deterministic=True).trajectory.errors
    np.testing.assert_allclose(errors, np.pi / 2, atol=0.05)
    ball = short("adroit_relocate")
    episode = run(AdroitWorld(ball), policy(ball, np.random.default_rng(0)), 0, 0)
    to_goal = np.linalg.norm(episode.trajectory.observations[1:, -3:], axis=1)
    np.testing.assert_allclose(episode.trajectory.errors, to_goal, atol=1e-12)


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


def test_an_object_returns_to_its_compiled_values(policy):
    task = short("adroit_relocate")
    world = AdroitWorld(task)
    acts = policy(task, np.random.default_rng(0))
    before = run(world, acts, 0, 0)
    thing = AdroitObject(task, world.env.model, world.env.data)
    thing.become(ObjectVariation(scale=1.5, mass=3.0, friction=0.3, damping=2.0))
    assert world.env.model.body("Object").mass[0] == pytest.approx(0.179594 * 3 * 1.5**3)
    thing.become(ObjectVariation())
    np.testing.assert_array_equal(
        run(world, acts, 0, 0).trajectory.observations, before.trajectory.observations
    )


@pytest.mark.parametrize(
    ("name", "vary"), [("adroit_door", {"scale": 1.2}), ("adroit_pen", {"stiffness": 2.0})]
)
def test_what_cannot_vary_is_refused(name, vary):
    world = AdroitWorld(find_task(name))
    thing = AdroitObject(world.task, world.env.model, world.env.data)
    with pytest.raises(BadConfig, match=r"vary object\."):
        thing.become(ObjectVariation(**vary))


STEPS = 40


def buffer(number, steps=STEPS, good=30, **changed):
    """An episode of the door that is at its goal in the last steps; a value of None is omitted."""
    task, rng = find_task("adroit_door"), np.random.default_rng(number)
    values = {
        "observations": rng.normal(size=(steps + 1, task.observation_size)),
        "actions": rng.uniform(-1, 1, (steps, task.action_size)).astype(np.float32),
        "rewards": np.arange(float(steps)),
        "terminations": [False] * steps,
        "truncations": [False] * (steps - 1) + [True] * (steps > 0),
        "infos": {"success": np.arange(steps) >= steps - good},
    }
    return EpisodeBuffer(id=number, **(values | changed))


def make_dataset(monkeypatch, folder, *buffers):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    task, wide = find_task("adroit_door"), np.inf
    minari.create_dataset_from_buffers(
        dataset_id="test/door-v0",
        buffer=list(buffers),
        env="AdroitHandDoor-v1",
        action_space=gymnasium.spaces.Box(-wide, wide, (task.action_size,)),
    )
    return task


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """A folder of Minari's with two episodes of the door, one cut off in its middle."""
    return make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, 30, 10))


def spoiled(name, at, value):
    """One number of a part of an episode replaced."""
    values = np.array(getattr(buffer(1), name), dtype=np.float64)
    values[at] = value
    return {name: values}


BAD_EPISODES = {
    "NaN observation": (spoiled("observations", (7, 3), np.nan), "observations have nan at step 7"),
    "infinite action": (spoiled("actions", (5, 0), np.inf), "actions have inf at step 5"),
    "absurd reward": (spoiled("rewards", 3, 1e300), r"rewards have 1e\+300 at step 3"),
    "wrong shape": ({"actions": np.zeros((STEPS, 27))}, r"actions have the shape \(40, 27\)"),
    "flat": ({"observations": np.zeros(STEPS + 1)}, r"observations have the shape \(41,\)"),
    "too few rewards": ({"rewards": np.zeros(STEPS - 1)}, "40 actions and 39 rewards"),
    "too many observations": ({"observations": np.zeros((STEPS + 3, 39))}, "it has 43 observ"),
    "information of other length": ({"infos": {"success": np.zeros(12)}}, "it has 12 rows of info"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_EPISODES)
def test_an_episode_that_cannot_be_used_is_left_out_by_name(tmp_path, monkeypatch, caplog, fault):
    changed, words = BAD_EPISODES[fault]
    task = make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, **changed))
    with caplog.at_level(logging.WARNING):
        [episode] = read_dataset("test/door-v0", task)
    assert episode.number == 0
    assert re.search(f"test/door-v0: episode 1 is omitted: .*{words}", caplog.text)


def test_an_empty_episode_and_one_that_is_missing_are_left_out_by_name(datasets, tmp_path, caplog):
    [data] = tmp_path.rglob("main_data.hdf5")
    with h5py.File(data, "a") as file:
        for name in ("actions", "rewards", "observations"):
            kept = file["episode_1"][name][: name == "observations"]
            del file["episode_1"][name]
            file["episode_1"][name] = kept
    with caplog.at_level(logging.WARNING):
        assert [episode.number for episode in read_dataset("test/door-v0", datasets)] == [0]
    assert "episode 1 is omitted: it has 1 observations, 0 actions and 0 rew" in caplog.text
    with h5py.File(data, "a") as file:
        del file["episode_1"]
    with caplog.at_level(logging.WARNING):
        assert [episode.number for episode in read_dataset("test/door-v0", datasets)] == [0]
    assert "episode 1 is omitted: it cannot be read" in caplog.text


def test_without_a_usable_episode_all_reasons_are_reported(tmp_path, monkeypatch):
    changed, _ = BAD_EPISODES["NaN observation"]
    task = make_dataset(monkeypatch, tmp_path, buffer(0, **changed), buffer(1, **changed))
    with pytest.raises(BadDemonstrations, match=r"episode 0: .*nan at step 7; episode 1: "):
        read_dataset("test/door-v0", task)


def test_actions_outside_the_range_are_clipped_and_counted(tmp_path, monkeypatch, caplog):
    changed = spoiled("actions", ([3, 3, 9], [0, 1, 5]), [-1.5, 7.0, 1.25])
    task = make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, **changed))
    with caplog.at_level(logging.WARNING):
        _, episode = read_dataset("test/door-v0", task)
    assert "2 actions outside [-1, 1] are clipped" in caplog.text
    assert (
        episode.trajectory.actions[3, 0] == -1.0
        and episode.trajectory.actions[3, 1] == episode.trajectory.actions[9, 5] == 1.0
    )


@pytest.mark.parametrize("extra", [0, 1])
def test_information_comes_with_or_without_that_of_the_reset(tmp_path, monkeypatch, extra):
    """26 steps at the goal are a success, 25 are not: a row too many or too few decides."""
    buffers = []
    for number, good in enumerate((26, 25)):
        success = np.arange(STEPS + extra) >= STEPS + extra - good
        buffers.append(buffer(number, infos={"success": success}))
    task = make_dataset(monkeypatch, tmp_path, *buffers)
    assert [episode.success for episode in read_dataset("test/door-v0", task)] == [True, False]


def test_episodes_without_information_are_read(tmp_path, monkeypatch):
    task = make_dataset(monkeypatch, tmp_path, buffer(0, infos=None))
    [episode] = read_dataset("test/door-v0", task)
    assert episode.steps == STEPS and not episode.success


def test_a_dataset_whose_files_are_missing_or_damaged_is_refused(datasets, tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    [data] = tmp_path.rglob("main_data.hdf5")
    whole = data.read_bytes()
    for content in (b"", b"garbage", whole[: len(whole) // 2]):
        data.write_bytes(content)
        with pytest.raises(BadDemonstrations, match="test/door-v0"):
            read_dataset("test/door-v0", datasets)
    data.unlink()
    with pytest.raises(BadDemonstrations, match="test/door-v0"):
        read_dataset("test/door-v0", datasets)
    [metadata] = tmp_path.rglob("metadata.json")
    metadata.write_text("{")
    with pytest.raises(BadDemonstrations, match="test/door-v0"):
        read_dataset("test/door-v0", datasets)


def test_a_dataset_becomes_episodes(datasets):
    one, two = read_dataset("test/door-v0", datasets)
    assert one.trajectory.observations.shape == (41, 39) and one.trajectory.actions.shape == (
        40,
        28,
    )
    assert one.success and not two.success
    np.testing.assert_array_equal(two.trajectory.rewards, np.arange(30.0))


def test_a_dataset_of_another_task_is_refused(datasets):
    with pytest.raises(BadDemonstrations, match="recorded in AdroitHandDoor-v1; adroit_pen needs"):
        read_dataset("test/door-v0", find_task("adroit_pen"))


def test_a_dataset_that_is_not_there_is_named(datasets, monkeypatch):
    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    with pytest.raises(BadDemonstrations, match=r"'test/x-v0' for adroit_door.*D4RL/door/human-v2"):
        read_dataset("test/x-v0", datasets)
