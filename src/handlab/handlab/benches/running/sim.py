"""In-process control steps beside bare `mj_step` of the same model on the same threads."""

import statistics
import time

import numpy as np

from handlab.benches.formatting import steps_text
from handlab.benches.result import Bench, Figure, Result
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import Task, make_task
from handlab_sim.backend import MujocoBackend

NUM_ENVS, THREADS = 64, 2
ROUNDS = 5


def measure(seed: int) -> Result:
    """Step 64 worlds with observations, estimator and reward; and the same physics without.

    Both walk through the same states: the bare run starts where an episode starts and is given the
    controls that the episode had.
    """
    task = make_task("valve")
    pairs = [_pair(task, seed + i) for i in range(ROUNDS)]
    value = statistics.median(whole for whole, _ in pairs)
    ratio = statistics.median(whole / bare for whole, bare in pairs)
    details = {
        "worlds": NUM_ENVS,
        "threads": THREADS,
        "rounds": [list(p) for p in pairs],
        "seed": seed,
    }
    return Result(value, value / ratio, "control steps/s", details)


def _pair(task: Task, seed: int) -> tuple[float, float]:
    backend = MujocoBackend(task.hand, task.fixture, NUM_ENVS, THREADS)
    batch, substeps = backend.batch, round(task.period / backend.model.opt.timestep)
    env = Env(task, LocalStation(task, backend))
    env.reset(seed, np.arange(NUM_ENVS))
    start, controls = batch.state.copy(), []
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (task.steps, NUM_ENVS, task.hand.n))
    ctrl = batch.bind("ctrl")
    began = time.perf_counter()
    for action in actions:
        env.reward(env.step(action))
        controls.append(ctrl.copy())
    whole = time.perf_counter() - began
    batch.state[:] = start
    began = time.perf_counter()
    for control in controls:
        ctrl[:] = control
        batch.step(nstep=substeps)
    bare = time.perf_counter() - began
    steps = NUM_ENVS * task.steps
    return steps / whole, steps / bare


BENCH = Bench(
    measure,
    figure=Figure("in-process steps at 64 worlds beside bare `mj_step`", "ratio 0.85", steps_text),
)
