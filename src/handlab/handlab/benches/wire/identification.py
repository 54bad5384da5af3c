"""Identification of emulated claws whose parameters are known to the bench alone."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.emulation.realities import CLAW, emulate_claw, reality
from handlab.identification.identify import record
from handlab_core.hands import make_hand
from handlab_core.hardware.backend import make_backend
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.validation import Count, Positive, checked
from handlab_core.worlds.fitted import QUANTITIES
from handlab_sim.identification import fit_servos

MOST = {"gain": 0.05, "damping": 0.05, "friction": 0.05, "armature": 0.05, "delay": 0.002}
"""Largest error that is asked: relative, of the delay s."""


@checked
class IdentifyOptions:
    """Hands and motion."""

    hands: Annotated[Count, Field(le=10, description="Number of emulated claws")] = 10
    seconds: Annotated[Positive, Field(le=600, description="s; length of the motion")] = 60.0


def measure(seed: int, options: IdentifyOptions) -> Result:
    """Identify each claw over its emulated wire, and compare with the truth."""
    rows = [_row(number, seed, options.seconds) for number in range(options.hands)]
    errors = {name: float(np.median([row["errors"][name] for row in rows])) for name in MOST}
    worst = max(errors[name] / MOST[name] for name in MOST)
    covered = float(np.mean([row["covered"] for row in rows]))
    details = {
        "hands": options.hands, "seconds": options.seconds, "errors": errors, "covered": covered,
        "claws": rows, "seed": seed,
    }  # fmt: skip
    return Result(worst, 1.0, "of the largest error that is asked", details)


def _row(number: int, seed: int, seconds: float) -> dict[str, Any]:
    """Return the median errors of one claw's joints, and the share of intervals with the truth."""
    hand, fixture, servos = make_hand(CLAW), FIXTURES.make("valve"), reality(CLAW, number).servos
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        port = Path(scratch, "port")
        with emulate_claw(number, port):
            backend = make_backend("dynamixel", hand="claw", fixture="valve", port=str(port))
            try:
                recording = record(backend, hand, fixture, seconds, seed)
            finally:
                backend.close()
    found = fit_servos(hand, recording, threads=2)
    truth = np.stack(
        (
            servos.stiffness, servos.damping, servos.coulomb, servos.armature, servos.delay,
            servos.zero,
        ),
        axis=1,
    )  # fmt: skip
    apart = np.abs(found.value - truth)
    apart[:, :4] /= truth[:, :4]
    errors = {name: float(np.median(apart[:, QUANTITIES.index(name)])) for name in MOST}
    within = (found.low <= truth) & (truth <= found.high)
    return {"errors": errors, "covered": float(within.mean()), "residual": found.residual}


def _cell(result: Kept) -> str:
    errors = result["errors"]
    parts = [f"{name} {100 * errors[name]:.1f} %" for name in MOST if name != "delay"]
    return (
        f"{', '.join(parts)}, delay {1e3 * errors['delay']:.1f} ms; intervals cover "
        f"{result['covered']:.0%} of {result['hands']} claws' parameters"
    )


BENCH = Bench(
    measure,
    IdentifyOptions,
    figure=Figure(
        "identification of emulated claws over the wire: median error",
        "5 %, 2 ms; cover 90 %",
        _cell,
    ),
)
