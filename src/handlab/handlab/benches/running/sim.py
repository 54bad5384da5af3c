"""In-process control steps beside bare `mj_step` of the same model on the same threads."""

import statistics
import time
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import steps_text
from handlab.benches.result import Bench, Figure, Result
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig
from handlab_core.hardware.backend import make_backend
from handlab_core.hardware.backend_table import DEFAULT, backend_spec
from handlab_core.options import BackendOptions
from handlab_core.system.validation import Count, OneOf, Text, checked
from handlab_core.tasks import TASKS, Task, make_task
from handlab_sim.backend import MujocoBackend

THREADS = 2
ROUNDS = 5


@checked
class SimOptions(BackendOptions):
    """Worlds that are measured; the backend must simulate."""

    task: Annotated[Text, OneOf("task", TASKS), Field(description="Name of the task")] = "valve"
    worlds: Annotated[Count, Field(le=65536, description="Number of worlds side by side")] = 64


def measure(seed: int, options: SimOptions) -> Result:
    """Step worlds with observations, estimator and reward; and the same physics without.

    Both walk through the same states: the bare run starts where an episode starts and is given the
    controls that the episode had. A graphics card is measured beside the processor with as many
    worlds: then the limit is the processor's whole control steps.

    Raises:
        BadConfig: the backend simulates nothing, or needs packages or devices that are missing.
    """
    task, n = make_task(options.task), options.worlds
    details: dict[str, Any] = {"task": options.task, "worlds": n, "threads": THREADS, "seed": seed}
    if not backend_spec(options.hardware).simulated:
        raise BadConfig(f"hardware {options.hardware} is no simulation")
    backend = _backend(options.hardware, task, n)
    compared = options.hardware != DEFAULT
    if compared:
        began = time.perf_counter()
        _pair(task, backend, seed)  # compiles
        details["first_s"] = time.perf_counter() - began
    pairs = [_pair(task, backend, seed + i) for i in range(ROUNDS)]
    value = statistics.median(whole for whole, _ in pairs)
    limit = value / statistics.median(whole / bare for whole, bare in pairs)
    details["rounds"] = [list(p) for p in pairs]
    if compared:
        beside = _pair(task, _backend(DEFAULT, task, n), seed)
        limit = beside[0]
        details |= {
            "hardware": options.hardware,
            "bare": statistics.median(bare for _, bare in pairs),
            "beside": list(beside),
        }
    return Result(value, limit, "control steps/s", details)


def _backend(hardware: str, task: Task, count: int) -> MujocoBackend:
    backend = make_backend(
        hardware, hand=task.hand_name, fixture=task.fixture_name, num_envs=count, threads=THREADS
    )
    if not isinstance(backend, MujocoBackend):
        raise BadConfig(f"hardware {hardware} has no bare steps of MuJoCo to measure")
    return backend


def _pair(task: Task, backend: MujocoBackend, seed: int) -> tuple[float, float]:
    """Return whole and bare control steps per s of one episode of every world."""
    batch, substeps = backend.batch, round(task.period / backend.model.opt.timestep)
    worlds = backend.num_envs
    env = Env(task, LocalStation(task, backend), teleport=True)
    env.reset(seed, np.arange(worlds))
    start, controls = batch.state.copy(), []
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (task.steps, worlds, task.hand.n))
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
    steps = worlds * task.steps
    return steps / whole, steps / bare


BENCH = Bench(
    measure,
    SimOptions,
    figure=Figure("in-process steps at 64 worlds beside bare `mj_step`", "ratio 0.85", steps_text),
)
