"""From a clone to the first set-up, to a hand that moves, and to a learned skill.

A clone of this checkout's last commit runs the README's first command, `./handlab demo`, with an
empty cache of packages. Then its environment is removed and set up again from that cache. The first
set-up also depends on the network; run it alone on a machine at rest.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.errors import StationFault
from handlab_core.system.paths import share

LIMIT = 3.0
"""Minutes; of the first set-up on two idle cores."""

ASKED_MIB, ASKED_MOVING, ASKED_LEARNED = 1144.0, 5.0, 8.0
"""MiB of the environment, 1.2 GB; minutes from the clone to a moving hand, to a learned skill."""

SET_UP, MOVED = "run folder:", "iteration    0"
"""Texts that the demo prints when the set-up is over, and when the hand has moved."""

LEARNED = re.compile(r"valve: learned.* success (\d+)%")

CACHES = ("XDG_CACHE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR")
"""Variables that name folders of downloaded packages."""

OURS = re.compile(r"ROS_|_ROS_|AMENT_|COLCON_|CMAKE_PREFIX|HANDLAB_|PYTHON|PYDANTIC_|VIRTUAL_ENV")
"""Variables that the environment of this checkout sets; a newcomer's shell has none of them."""


def newcomers(variables: Mapping[str, str], root: Path, cache: Path) -> dict[str, str]:
    """Return the variables of a shell that has not seen this checkout.

    Args:
        variables: of this process.
        root: folder of the checkout, whose folders leave all search paths.
        cache: folder of downloaded packages.
    """
    kept = {}
    for name, value in variables.items():
        parts = [part for part in value.split(os.pathsep) if not part.startswith(str(root))]
        if not OURS.match(name) and any(parts):
            kept[name] = os.pathsep.join(parts)
    return kept | {name: str(cache / name.lower()) for name in CACHES}


def size_mib(folder: Path) -> float:
    """Return the space that a folder takes on the disk, MiB; files with two names count once."""
    found = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        found[state.st_dev, state.st_ino] = 512 * state.st_blocks
    return sum(found.values()) / 2**20


def measure(seed: int) -> Result:
    """Clone, set up, learn; then set up again.

    Args:
        seed: random seed of the demo.
    """
    with tempfile.TemporaryDirectory(prefix="handlab-install-") as scratch:
        clone, root = Path(scratch, "handlab"), share()
        variables = newcomers(os.environ, root, Path(scratch, "cache"))
        began = time.monotonic()
        _call(["git", "clone", "--quiet", "--no-hardlinks", str(root), str(clone)], variables)
        command = ["./handlab", "demo", "--seed", str(seed)]
        times, said = _timed(command, clone, variables, began)
        size = size_mib(clone / ".venv")
        shutil.rmtree(clone / ".venv")
        again = time.monotonic()
        _call(["./handlab", "tasks"], variables, clone)
        warm = (time.monotonic() - again) / 60
    learned = LEARNED.search(said)
    details = {
        "warm_minutes": warm,
        "venv_mib": size,
        "moving_minutes": times[MOVED],
        "learned_minutes": times[""],
        "success": None if learned is None else int(learned[1]) / 100,
        "seed": seed,
    }
    return Result(times[SET_UP], LIMIT, "minutes", details)


def _timed(
    command: list[str], folder: Path, variables: Mapping[str, str], began: float
) -> tuple[dict[str, float], str]:
    """Run the demo; return minutes since `began` until each text and the end, and its output."""
    times, lines = dict[str, float](), list[str]()
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            for text in (SET_UP, MOVED):
                if text in line:
                    times.setdefault(text, (time.monotonic() - began) / 60)
    times[""] = (time.monotonic() - began) / 60
    said = "".join(lines)
    if process.returncode or len(times) < 3:
        raise StationFault(f"{' '.join(command)} ended with {process.returncode}: {said[-1000:]}")
    return times, said


def _call(command: list[str], variables: Mapping[str, str], folder: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise StationFault(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}")


def _cell(result: Kept) -> str:
    success = result["success"]
    learned = "not learned" if success is None else f"{success:.0%} success"
    return (
        f"**{result['value']:.1f} min**, from a full cache {result['warm_minutes']:.1f} min; "
        f"{result['venv_mib']:.0f} MiB; a moving hand {result['moving_minutes']:.1f} min after the "
        f"clone, a learned skill {result['learned_minutes']:.1f} min ({learned})"
    )


BENCH = Bench(
    measure,
    figure=Figure(
        "first set-up of a fresh clone, from an empty cache of packages; from the clone to a "
        "moving hand and to a learned skill, by the README's first command",
        f"under {LIMIT:.0f} min and {ASKED_MIB:.0f} MiB; {ASKED_MOVING:.0f} and "
        f"{ASKED_LEARNED:.0f} min",
        _cell,
    ),
)
