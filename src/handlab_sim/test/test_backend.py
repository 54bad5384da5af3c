"""The simulated backend, and laws of every task's environment on it."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig, ResetFailed, UnknownName
from handlab_core.hardware.backend import make_backend
from handlab_core.hardware.backend_table import BACKENDS
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.tasks import TASKS, make_task
from handlab_core.types import Command
from handlab_sim.backend import PLACING_TIME, MujocoBackend

PERIOD = 0.1


@pytest.fixture(params=sorted(TASKS))
def task(request):
    return make_task(request.param)


def backend(task, count=1, threads=1):
    return MujocoBackend(task.hand, task.fixture, count, threads)


def env(task, count=1, teleport=False):
    return Env(task, LocalStation(task, backend(task, count)), teleport)


def push(task, q, effort=np.inf):
    return Command(np.asarray(q, dtype=float), np.full(np.shape(q), effort))


def random_policy(task, seed=0):
    rng = np.random.default_rng(seed)
    n, o = task.hand.n, task.observation_size
    return GaussianPolicy(
        (rng.normal(size=(o, 16)) / 3, rng.normal(size=(16, n)) / 3),
        (np.zeros(16), np.zeros(n)), np.full(n, -0.5), np.zeros(o), np.ones(o), 0,
    )  # fmt: skip


def test_a_backend_is_made_by_name(task):
    made = make_backend("mujoco", hand=task.hand_name, fixture=task.fixture_name)
    assert made.num_envs == 1
    with pytest.raises(UnknownName, match=", ".join(sorted(BACKENDS))):
        make_backend("nothing")


def test_time_goes_on_by_the_period_and_exactly_so(task):
    w = backend(task, 2)
    for _ in range(30):
        reading = w.step(push(task, [task.hand.nominal] * 2), None, PERIOD)
    np.testing.assert_array_equal(reading.hand.stamp, [3.0, 3.0])
    np.testing.assert_array_equal(reading.hand.stamp, reading.fixture.stamp)
    with pytest.raises(BadConfig, match="whole number of steps"):
        w.step(push(task, [task.hand.nominal] * 2), None, 0.0123)


def test_worlds_that_are_not_stepped_stand_still(task):
    w = backend(task, 3)
    rng = np.random.default_rng(0)
    before = w.read()
    some = np.array([0, 2])
    w.step(push(task, task.hand.target(rng.uniform(-1, 1, (2, task.hand.n)))), None, PERIOD, some)
    after = w.read()
    np.testing.assert_array_equal(after.hand.q[1], before.hand.q[1])
    np.testing.assert_array_equal(after.hand.stamp, [PERIOD, 0, PERIOD])
    assert (after.hand.q[some] != before.hand.q[some]).any(axis=1).all()


def test_a_world_does_not_depend_on_its_neighbours(task):
    """World 3 of 5 moves as the only world does, bit for bit."""
    many, one, rng = backend(task, 5, threads=2), backend(task), np.random.default_rng(1)
    for _ in range(20):
        q = task.hand.target(rng.uniform(-1, 1, (5, task.hand.n)))
        a, b = many.step(push(task, q), None, PERIOD), one.step(push(task, q[3:4]), None, PERIOD)
    np.testing.assert_array_equal(a.hand.q[3], b.hand.q[0])
    np.testing.assert_array_equal(a.fixture.q[3], b.fixture.q[0])


def test_a_released_joint_is_limp_and_a_weak_one_gives_way(task):
    w = backend(task)
    target = task.hand.nominal[None] + 0.4 * np.where(task.hand.nominal > 0, -1, 1)
    reading = w.step(push(task, target, effort=0.0), None, PERIOD)
    assert np.abs(reading.hand.effort).max() == 0
    reading = w.step(push(task, target, effort=0.05), None, PERIOD)
    assert 0 < np.abs(reading.hand.effort).max() <= 0.05 + 1e-9


def test_the_fixtures_motor_turns_the_object_only_when_engaged(task):
    w, home = backend(task), push(task, task.hand.nominal[None])
    at = 0.1 if task.fixture_name == "bottle" else 0.5  # the fingers are right above the bottle
    goal = Command(np.array([[at]]), np.array([[np.inf]]))
    for _ in range(10):
        w.step(home, None, PERIOD)
    assert abs(w.read().fixture.q[0, 0]) < 0.05 or task.fixture_name == "bottle"  # which sinks
    for _ in range(20):
        w.step(home, goal, PERIOD)
    # The weight of the bottle stretches the spring of its motor by 0.07 rad.
    assert w.read().fixture.q[0, 0] == pytest.approx(at, abs=0.08)


def test_placing_takes_the_time_a_person_needs(task):
    w = backend(task, 2)
    reading = w.reset(None, np.array([0.3, -0.2]))
    np.testing.assert_array_equal(reading.fixture.q[:, 0], [0.3, -0.2])
    np.testing.assert_array_equal(reading.hand.stamp, [PLACING_TIME] * 2)


def test_a_clamped_backend_counts_changed_targets(task):
    guarded = ClampedBackend(task.hand, task.fixture, backend(task))
    wild = np.full((1, task.hand.n), 99.0)
    wild[0, 0] = np.nan
    reading = guarded.step(push(task, wild), None, PERIOD)
    assert guarded.dropped == 1 and guarded.clamped == task.hand.n - 1
    assert np.isfinite(reading.hand.q).all()
    assert (guarded.sent[0].q <= task.hand.upper).all()


def test_the_same_seed_gives_the_same_episodes(task):
    numbers = [np.array([i]) for i in range(3)]
    runs = [
        [rollout(e, random_policy(task), EpisodePlan(7, n))[0] for n in numbers]
        for e in (env(task), env(task))
    ]
    for a, b in zip(*runs, strict=True):
        for name in ("observations", "actions", "rewards", "errors"):
            np.testing.assert_array_equal(a.arrays[name], b.arrays[name])
        assert (a.time, a.success) == (b.time, b.success)
    assert (runs[0][0].trajectory.actions != runs[0][1].trajectory.actions).any()


def test_observations_are_as_the_layout_says_and_none_is_constant(task):
    episode = rollout(env(task), random_policy(task, seed=1), EpisodePlan(0, [0]))[0]
    assert episode.trajectory.observations.shape == (task.steps + 1, task.observation_size)
    assert np.isfinite(episode.trajectory.observations).all()
    assert (episode.trajectory.observations.std(axis=0) > 0).all()


def test_nothing_that_was_returned_changes_later(task):
    e = env(task)
    observation, start = e.reset(0, np.array([0]))
    kept = [observation.copy(), start.hand.q.copy(), start.object.angle.copy()]
    for _ in range(3):
        step = e.step(np.ones((1, task.hand.n)))
        copies = step.observation.copy(), step.sample.hand.q.copy()
        e.step(-np.ones((1, task.hand.n)))
        np.testing.assert_array_equal(step.observation, copies[0])
        np.testing.assert_array_equal(step.sample.hand.q, copies[1])
    for was, now in zip(kept, (observation, start.hand.q, start.object.angle), strict=True):
        np.testing.assert_array_equal(was, now)


def test_time_is_over_after_the_tasks_steps_and_is_no_terminal_state(task):
    e = env(task, teleport=True)
    e.reset(0, np.array([0]))
    ends = [e.step(np.zeros((1, task.hand.n))) for _ in range(task.steps)]
    assert [s.truncated.tolist() for s in ends] == [[False]] * (task.steps - 1) + [[True]]
    assert not any(s.terminated.any() for s in ends)
    with pytest.raises(RuntimeError, match="reset"):
        e.step(np.zeros((1, task.hand.n)))


def test_an_action_that_is_not_a_number_holds_the_last_one(task):
    e, other = env(task, teleport=True), env(task, teleport=True)
    for x in (e, other):
        x.reset(0, np.array([0]))
        x.step(np.full((1, task.hand.n), 0.3))
    bad = e.step(np.full((1, task.hand.n), np.nan))
    good = other.step(np.full((1, task.hand.n), 0.3))
    np.testing.assert_array_equal(bad.observation, good.observation)


def test_resets_by_motor_succeed_from_wherever_episodes_end(task):
    """40 episodes of a wild policy on 20 robots; the resets' tolerances hold."""
    e = env(task, count=20)
    wild = random_policy(task, seed=3)
    for first in (0, 20):
        numbers = np.arange(first, first + 20)
        assert max(ep.time.reset_attempts for ep in rollout(e, wild, EpisodePlan(1, numbers))) <= 2
        _, start = e.reset(1, numbers)
        wanted = [task.start(1, int(number)).object_angle for number in numbers]
        assert np.abs(start.object.angle - wanted).max() <= np.deg2rad(5.5)  # turns count
        assert np.abs(start.hand.q - task.hand.nominal).max() <= np.deg2rad(5.5)


def test_a_blocked_hand_fails_its_reset_with_a_name(task):
    """A joint whose servo has no strength never arrives, but where it swings back by itself."""
    if task.hand.pneumatics is not None:
        pytest.skip("a dead chamber is empty, as the nominal pose is")
    dead = {"leap": 2}.get(task.hand_name, 1)
    w = backend(task)
    e = Env(task, LocalStation(task, w))
    e.reset(0, np.array([0]))
    e.step(np.ones((1, task.hand.n)))
    w._limit[0, dead] = 0.0
    w.batch.bind("qpos")[0, w._qpos_at[dead]] = task.hand.upper[dead]
    with pytest.raises(ResetFailed) as caught:
        e.reset(0, np.array([1]))
    assert task.hand.joints[dead] in caught.value.failed_joints


def test_a_smooth_action_is_half_the_last_and_half_the_new():
    task = replace(make_task("valve"), smoothing=0.5)
    env = Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture)), teleport=True)
    env.reset(0, np.array([0]))
    expected = task.hand.normalise(task.hand.nominal)
    for asked in (1.0, -0.4):
        seen = env.step(np.full((1, task.hand.n), asked)).observation[0, -task.hand.n :]
        expected = (expected + asked) / 2
        np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_an_action_beyond_the_range_acts_as_the_end_of_the_range(task):
    seen = []
    for factor in (1.0, 9.0):
        e = env(task)
        e.reset(0, np.array([0]))
        step = e.step(np.full((1, task.hand.n), factor))
        seen.append(step.observation)
        assert (e.station.backend.sent[0].q <= task.hand.upper).all()
    np.testing.assert_array_equal(*seen)
