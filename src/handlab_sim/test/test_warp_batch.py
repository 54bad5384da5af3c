"""Agreement of steps by MuJoCo Warp, on its device for the processor, with MuJoCo's.

Where the optional package mujoco_warp is not installed, all but the messages is skipped; its first
steps compile for two minutes, later ones take them from a cache.
"""

import sys

import numpy as np
import pytest

from handlab_core.errors import BadConfig, StationFault
from handlab_core.hardware.backend import make_backend
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import draw_all
from handlab_core.types import Command
from handlab_core.worlds.levels import FULL, level_of
from handlab_core.worlds.world import world_of
from handlab_sim import warp_batch
from handlab_sim.backend import make_gpu_backend

STEP = 0.01  # s; of the simulation
VELOCITY = 1e-3
"""rad/s; largest difference after one step from the same state: single precision in contact, where
a step changes velocities by up to 10 rad/s. The largest that was seen is 1.2e-4."""


needs_warp = pytest.mark.usefixtures("warp_installed")


@pytest.fixture
def warp_installed():
    pytest.importorskip(
        "mujoco_warp", reason="mujoco_warp is not installed; it is in requirements-gpu.lock"
    )


def backends(name, count, level=None):
    """Return a backend on the processor by MuJoCo, and one by MuJoCo Warp, of the same worlds."""
    task, worlds = make_task(name), None
    if level is not None:
        draws = [draw_all(level_of(task, level), 0, episode) for episode in range(count)]
        worlds = [world_of(draw, task.hand.servos, 0, i) for i, draw in enumerate(draws)]
    options = {"hand": task.hand_name, "fixture": task.fixture_name, "num_envs": count}
    plain = make_backend("mujoco", **options, worlds=worlds)
    return task, plain, make_gpu_backend(**options, worlds=worlds, device=warp_batch.CPU)


def push(q):
    return Command(q, np.full(q.shape, np.inf))


def wild(task, count, seed=0):
    rng = np.random.default_rng(seed)
    while True:
        yield task.hand.target(rng.uniform(-1, 1, (count, task.hand.n)))


@needs_warp
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "level"), [("valve", None), ("valve", FULL), ("allegro_valve", None)]
)
def test_a_step_from_the_same_state_agrees(name, level):
    """Random targets in contact; randomised worlds also have delays, friction, other sizes."""
    task, plain, warp = backends(name, 4, level)
    targets, q, contacts = wild(task, 4), None, 0
    for step in range(120):
        q = next(targets) if step % 10 == 0 else q
        warp.batch.state[:] = plain.batch.state
        a, b = plain.step(push(q), None, STEP), warp.step(push(q), None, STEP)
        speeds = [backend.batch.bind("qvel") for backend in (plain, warp)]
        np.testing.assert_allclose(speeds[1], speeds[0], rtol=0, atol=VELOCITY)
        np.testing.assert_allclose(
            warp.batch.bind("qpos"), plain.batch.bind("qpos"), rtol=0, atol=VELOCITY * STEP * 2
        )
        np.testing.assert_allclose(b.hand.effort, a.hand.effort, rtol=0, atol=0.01)  # N m
        np.testing.assert_array_equal(b.hand.stamp, a.hand.stamp)
        contacts += int(warp.batch._data.nacon.numpy()[0])
    assert contacts > 50


@needs_warp
@pytest.mark.slow
def test_free_motion_agrees_for_seconds():
    """Without contact nothing amplifies rounding; after 2 s of motion angles agree to 1e-4 rad."""
    task, plain, warp = backends("valve", 2)
    q = np.tile(task.hand.nominal, (2, 1))
    for step in range(20):
        q = q + 0.02 * np.sin(0.6 * step) * np.array([[1.0], [0.5]])
        a, b = plain.step(push(q), None, 0.1), warp.step(push(q), None, 0.1)
    assert np.abs(a.hand.q - task.hand.nominal).max() > 0.01
    np.testing.assert_allclose(b.hand.q, a.hand.q, rtol=0, atol=1e-4)


@needs_warp
@pytest.mark.slow
def test_worlds_that_are_not_stepped_stand_still_and_equal_calls_give_equal_results():
    task, _, warp = backends("valve", 3)
    targets = [q for q, _ in zip(wild(task, 3), range(12), strict=False)]

    def run():
        warp.batch.reset()
        for q in targets:
            warp.step(push(q), None, 0.1)
        return warp.batch.state.copy()

    first = run()
    np.testing.assert_array_equal(run(), first)
    some = np.array([0, 2])
    warp.step(push(targets[0][some]), None, 0.1, some)
    np.testing.assert_array_equal(warp.batch.bind("qpos")[1], first[1, 1 : 1 + warp.model.nq])
    assert (warp.batch.state[some] != first[some]).any(axis=1).all()


@needs_warp
@pytest.mark.slow
def test_contacts_beyond_the_memory_are_an_error(monkeypatch):
    monkeypatch.setattr(warp_batch, "CONTACTS", 1)
    task, _, warp = backends("valve", 2)
    with pytest.raises(StationFault, match="more contacts than the graphics card has memory for"):
        for q, _ in zip(wild(task, 2), range(20), strict=False):
            warp.step(push(q), None, 0.1)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    with pytest.raises(BadConfig, match=r"pip install -r requirements-gpu\.lock"):
        make_backend("mujoco_gpu", hand="claw", fixture="valve")


@needs_warp
def test_a_missing_device_is_an_error_and_never_another_device():
    import warp

    if warp.is_cuda_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(BadConfig, match="found no CUDA device; choose --hardware mujoco"):
        make_backend("mujoco_gpu", hand="claw", fixture="valve")
