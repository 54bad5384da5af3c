"""A video of a policy at work.

Run as a module in a process of its own, because how MuJoCo draws is chosen once, when it is
imported.
"""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from handlab_core.errors import RenderingUnavailable
from handlab_core.system.files import check_writable, produce_atomically
from handlab_sim import offscreen

TIMEOUT = 300.0
"""s; a slow machine without a graphics card needs two minutes."""


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
        command = [
            sys.executable,
            "-m",
            "handlab.reporting.video",
            str(checkpoint),
            str(output),
            str(seed),
        ]
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


def main() -> None:
    """Run episodes of a saved policy and film them: PATH OUTPUT SEED."""
    from handlab.experiments.task_kinds import kind_of
    from handlab_learning.policy_files import saved_policy

    source, output, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    saved = saved_policy.load(source)
    task = saved.task()
    film = kind_of(task).film(task, saved.policy(task), seed)
    _write(output, film.frames, film.rate)


if __name__ == "__main__":
    main()
