"""A video of a policy at work.

Run as a module in a process of its own, because how MuJoCo draws is chosen once, when it is
imported.
"""

import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from handlab_core.env import Env
from handlab_core.episode import EpisodeKey, EpisodePlan
from handlab_core.errors import RenderingUnavailable
from handlab_core.files import check_writable, produce_atomically
from handlab_core.rollout import rollout
from handlab_core.station import LocalStation
from handlab_core.suite import SuiteTask
from handlab_core.tasks import Task
from handlab_core.types import Array, JointState, Reading
from handlab_learning.evaluate import AFTER_TRAINING
from handlab_sim import offscreen

FRAMES_PER_STEP = 2
"""Between two control steps positions are interpolated."""

EPISODES = 2
SUITE_EPISODES, SUITE_STEPS = 3, 4
"""Of a task of the suite, whose episodes are short and have 100 steps a second: so many, and a
picture after so many steps."""

STILL = 0.5
"""s, the last picture of an episode stays so long."""

TIMEOUT = 120.0
"""s."""


def render(checkpoint: Path, output: Path, seed: int = 0) -> str | None:
    """Render a video of the policy; return why it could not be done, or None.

    Tries EGL, then OSMesa, or only the one that MUJOCO_GL names.

    Raises:
        CannotWrite: the disk, the folder or the user's rights do not allow it.
    """
    check_writable(output.parent)
    try:
        backends = offscreen.candidates()
    except RenderingUnavailable as error:
        return str(error)
    reasons = []
    for backend in backends:
        command = [sys.executable, "-m", "handlab.video", str(checkpoint), str(output), str(seed)]
        try:
            environment = {**os.environ, "MUJOCO_GL": backend}
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            reasons.append(f"{backend}: took over {TIMEOUT:.0f} s")
            continue
        if done.returncode == 0 and output.is_file():
            return None
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        reasons.append(f"{backend}: {last}")
    return "; ".join(reasons)


def _write(path: Path, frames: list[NDArray[np.uint8]], rate: float) -> None:
    """Encode frames (H, W, 3) as H.264 in MP4, which every browser plays."""
    produce_atomically(path, lambda scratch: _encode(scratch, frames, rate))


def _encode(scratch: Path, frames: list[NDArray[np.uint8]], rate: float) -> None:
    with av.open(str(scratch), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "24", "preset": "medium", "movflags": "faststart"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _between(a: JointState, b: JointState, share: float) -> JointState:
    return JointState(a.stamp, a.q + share * (b.q - a.q), a.qd, a.effort)


def _film_suite(saved: Any, task: SuiteTask, seed: int) -> list[NDArray[np.uint8]]:
    """Film a task of the suite through the environment's own camera."""
    from handlab_sim.adroit import AdroitWorld

    world = AdroitWorld(task, render_mode="rgb_array")
    frames: list[NDArray[np.uint8]] = []
    steps = 0

    def watch() -> None:
        nonlocal steps
        if steps % SUITE_STEPS == 0:
            frames.append(world.env.render())
        steps += 1

    for number in range(AFTER_TRAINING, AFTER_TRAINING + SUITE_EPISODES):
        key = EpisodeKey(number, seed, saved.manifest["version"], deterministic=True)
        world.episode(saved.policy(), key, on_step=watch)
    world.env.close()
    return frames


def _film_station(saved: Any, task: Task, seed: int) -> list[NDArray[np.uint8]]:
    """Film a station, with the goal where the task has one to show."""
    from handlab_sim.rendering import StationRenderer
    from handlab_sim.worlds import Worlds

    worlds = Worlds(task.hand, task.fixture)
    env = Env(task, LocalStation(task, worlds))
    renderer = StationRenderer(task.hand, task.fixture)
    frames: list[NDArray[np.uint8]] = []
    readings: list[Reading] = []
    bent: list[Array] = []

    def watch(_: int) -> None:
        readings.append(worlds.read())
        bent.append(worlds.sprung[0].copy())

    for number in range(AFTER_TRAINING, AFTER_TRAINING + EPISODES):
        readings.clear()
        bent.clear()
        rollout(env, saved.policy(), EpisodePlan(seed, [number], deterministic=True), watch)
        start = task.start(seed, number)
        for step, (a, b) in enumerate(pairwise(readings), 1):
            for i in range(FRAMES_PER_STEP):
                share = i / FRAMES_PER_STEP
                hand = _between(a.hand, b.hand, share)
                renderer.bend(bent[step - 1] + share * (bent[step] - bent[step - 1]))
                goal = task.mark(start, (step + share) * task.period)
                frames.append(renderer.frame(hand, _between(a.fixture, b.fixture, share), goal))
        frames += [frames[-1]] * round(STILL * FRAMES_PER_STEP / task.period)
    renderer.close()
    return frames


def main() -> None:
    """Run episodes of a checkpoint's policy and film them: CHECKPOINT OUTPUT SEED."""
    from handlab_learning import checkpoint

    source, output, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    saved = checkpoint.load(source)
    task = saved.task()
    if isinstance(task, SuiteTask):
        frames, rate = _film_suite(saved, task, seed), 1 / (SUITE_STEPS * task.period)
    else:
        frames, rate = _film_station(saved, task, seed), FRAMES_PER_STEP / task.period
    _write(output, frames, rate)


if __name__ == "__main__":
    main()
