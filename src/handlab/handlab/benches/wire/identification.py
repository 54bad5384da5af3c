"""Identification of emulated claws whose parameters are known to the bench alone."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import print_row
from handlab.benches.kept import chosen, kept
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.emulation.realities import CLAW, emulate_claw, reality
from handlab.identification.identify import record
from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.hardware.backend import make_backend
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.validation import Positive, Text, checked
from handlab_core.types import Array
from handlab_core.worlds.fitted import QUANTITIES
from handlab_core.worlds.world import World
from handlab_sim.identification.fit import ServoFit, fit_servos

NAME = "identify"

MOST = {"gain": 0.05, "damping": 0.05, "friction": 0.05, "armature": 0.05, "delay": 0.002}
"""Largest error that is asked: relative, of the delay s."""

ATTEMPTS = 3
"""Number of attempts to move a claw; chosen."""

CLAWS = tuple(str(number) for number in range(10))
"""Numbers of the emulated claws."""

RELATIVE = QUANTITIES.index("delay")
"""Number of quantities with relative errors; they come first."""


@checked
class IdentifyOptions:
    """Hands and motion."""

    claws: Annotated[
        Text,
        Field(
            description="Numbers of the emulated claws to identify, separated by commas; empty: "
            "all; others are kept"
        ),
    ] = ""
    seconds: Annotated[Positive, Field(le=600, description="s; length of the motion")] = 60.0


def measure(seed: int, options: IdentifyOptions) -> Result:
    """Identify each claw over its emulated wire, and compare with the truth."""
    fresh = {
        number: _row(int(number), seed, options.seconds)
        for number in chosen("claws", options.claws, CLAWS)
    }
    known = kept(NAME, "claws") | fresh
    claws = {number: known[number] for number in CLAWS if number in known}
    rows = claws.values()
    errors = {name: float(np.median([row["errors"][name] for row in rows])) for name in MOST}
    worst = max(errors[name] / MOST[name] for name in MOST)
    covered = float(np.mean([row["covered"] for row in rows]))
    details = {
        "seconds": options.seconds, "errors": errors, "covered": covered, "claws": claws,
        "seed": seed,
    }  # fmt: skip
    return Result(worst, 1.0, "of the largest error that is asked", details)


def identify_claw(number: int, seed: int, seconds: float) -> tuple[ServoFit, int]:
    """Identify one of the emulated claws over its wire, in real time.

    The wires lose packets, so that a claw may refuse to begin; then it is tried again, as a person
    does.

    Returns:
        The fit, and the number of attempts.

    Raises:
        StationFault: the last attempt failed.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return _identify(number, seed, seconds), attempt
        except StationFault as error:
            print(f"claw {number}: {error}", file=sys.stderr, flush=True)
    return _identify(number, seed, seconds), ATTEMPTS


def _identify(number: int, seed: int, seconds: float) -> ServoFit:
    hand, fixture = make_hand(CLAW), FIXTURES.make("valve")
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        port = Path(scratch, "port")
        with emulate_claw(number, port):
            backend = make_backend("dynamixel", hand=CLAW, fixture="valve", port=str(port))
            try:
                recording = record(backend, hand, fixture, seconds, seed)
            finally:
                backend.close()
    return fit_servos(hand, recording, threads=2)


def truth_of(world: World) -> Array:
    """Return the parameters of a world's servos in the order of QUANTITIES, (n, p)."""
    servos = world.servos
    columns = (servos.stiffness, servos.damping, servos.coulomb, servos.armature, servos.delay)
    return np.stack((*columns, servos.zero, servos.backlash), axis=1)


def errors_of(value: Array, truth: Array) -> dict[str, float]:
    """Return the median error of a hand's joints for each name in MOST."""
    apart = np.abs(value - truth)
    apart[:, :RELATIVE] /= truth[:, :RELATIVE]
    return {name: float(np.median(apart[:, QUANTITIES.index(name)])) for name in MOST}


def _row(number: int, seed: int, seconds: float) -> dict[str, Any]:
    """Return the fit of one claw, its errors, and the share of intervals with the truth."""
    (found, attempts), truth = identify_claw(number, seed, seconds), truth_of(reality(CLAW, number))
    within = (found.low <= truth) & (truth <= found.high)
    row = {
        "errors": errors_of(found.value, truth),
        "covered": float(within.mean()),
        "residual": found.residual,
        "attempts": attempts,
    }
    print_row({"claw": number} | row)
    return row | {"value": [[float(f"{v:.6g}") for v in joint] for joint in found.value.tolist()]}


def _cell(result: Kept) -> str:
    unit = dict.fromkeys(MOST, (100, "%")) | {"delay": (1000, "ms")}
    parts = []
    for name, (factor, symbol) in unit.items():
        worst = max(row["errors"][name] for row in result["claws"].values())
        median = factor * result["errors"][name]
        parts.append(f"{name} {median:.1f} {symbol} ({factor * worst:.1f})")
    return (
        f"{', '.join(parts)}; intervals cover {result['covered']:.0%} of {len(result['claws'])} "
        "claws' parameters"
    )


BENCH = Bench(
    measure,
    IdentifyOptions,
    parts=("claws", CLAWS),
    figure=Figure(
        "identification of emulated claws over the wire: median error (of the worst claw)",
        "5 %, 2 ms; cover 90 %",
        _cell,
    ),
)
