"""Deflection of a lobe of the foam valve under a push, beside the rigid valve's and a beam's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt
import numpy as np

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.objects.fixture import FIXTURES, FOAM_LOBE
from handlab_core.system.paths import share
from handlab_sim import pushing

FORCES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
"""N; a finger pushes with some newtons, and the hinge's friction alone holds 0.14."""

LINEAR = 1.0
"""N; up to here a lobe bends by less than an eighth of its free length."""

REACH = 0.073
"""m from the valve's axis: the centre of the lobe's round end, where fingers push."""
ROOT = 0.02
"""m; there the hub ends and the beam begins."""

LIMIT = 0.2
"""Share by which lobe and beam may differ in the linear range."""

PICTURE = Path("docs", "images", "foam.png")
"""Path in the workspace."""

FOAM, RIGID, BEAM = "#2b6cb0", "#1f2933", "#9aa5b1"


def measure(seed: int) -> Result:
    """Push both valves' lobes; nothing here is random."""
    foam, rigid = FIXTURES.make("valve_foam"), FIXTURES.make("valve")
    forces = np.array(FORCES)
    beam = forces * FOAM_LOBE.compliance(REACH - ROOT)
    bent = pushing.bend(foam, FORCES, REACH)
    linear = (forces > 0) & (forces <= LINEAR)
    worst = float(np.abs(bent[linear] / beam[linear] - 1).max())
    details = {
        "forces_N": list(FORCES),
        "reach_m": REACH,
        "linear_up_to_N": LINEAR,
        "beam_m": beam.tolist(),
        "bent_m": bent.tolist(),
        "foam_m": pushing.press(foam, FORCES, REACH).tolist(),
        "rigid_m": pushing.press(rigid, FORCES, REACH).tolist(),
        "seed": seed,
    }
    picture = share() / PICTURE
    return Result(worst, LIMIT, "of the beam's deflection", details, lambda: draw(details, picture))


def draw(curves: Mapping[str, Any], path: Path) -> None:
    """Draw force over deflection."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for name, label, colour, style in (
        ("rigid_m", "rigid valve, pressed by a fingertip", RIGID, "-o"),
        ("foam_m", "foam, pressed by a fingertip: bending and dent", FOAM, "-o"),
        ("bent_m", "foam, its middle line alone", FOAM, "--"),
        ("beam_m", "a beam of the same foam (small deflections)", BEAM, ":"),
    ):
        deflection = 1e3 * np.array(curves[name])
        axes.plot(deflection, curves["forces_N"], style, color=colour, label=label, ms=4)
    axes.set(xlabel="deflection [mm]", ylabel=f"force at {1e3 * curves['reach_m']:.0f} mm [N]")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _cell(result: Kept) -> str:
    return f"**{result['value']:.0%}** ([curve](docs/objects.md#foam))"


BENCH = Bench(
    measure,
    figure=Figure(
        "a foam lobe's give in simulation beside a beam's of the same foam: difference",
        "at most 20 %",
        _cell,
    ),
)
