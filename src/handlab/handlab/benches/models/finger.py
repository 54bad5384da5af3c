"""Tip of the soft finger's model beside a measured finger, at pressures not fitted."""

import numpy as np

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_sim.soft_finger import LENGTH, PRESSURES, TIPS, finger_tips, fit_finger

SPLITS = {
    "every second pressure": (slice(0, None, 2), slice(1, None, 2)),
    "the lower two thirds": (slice(0, 12), slice(12, None)),
}
"""Pressures that are fitted, and those that are left out."""

LIMIT = 0.05
"""Fraction of the length by which a tip may be off."""


def measure(seed: int) -> Result:
    """Fit the finger to parts of the table; return the largest error elsewhere."""
    rows = {}
    for name, (seen, left_out) in SPLITS.items():
        chamber = fit_finger(PRESSURES[seen], TIPS[seen], LENGTH)
        tips = finger_tips(chamber, LENGTH, PRESSURES[left_out])
        off = np.linalg.norm(tips - TIPS[left_out], axis=1) / LENGTH
        rows[name] = {
            "gain": chamber.gain,
            "stiffening": chamber.stiffening,
            "pressures_bar": PRESSURES[left_out].round(4).tolist(),
            "off": off.tolist(),
        }
    worst = max(max(row["off"]) for row in rows.values())
    return Result(worst, LIMIT, "of the finger's length", {"fitted_to": rows, "seed": seed})


def _cell(result: Kept) -> str:
    parts = [f"{name} {max(row['off']):.1%}" for name, row in result["fitted_to"].items()]
    return f"**{result['value']:.1%}**; fitted to {', '.join(parts)}"


BENCH = Bench(
    measure,
    figure=Figure(
        "the tip of a measured soft finger at pressures that were not fitted: largest error, of "
        "the length",
        "at most 5 %",
        _cell,
    ),
)
