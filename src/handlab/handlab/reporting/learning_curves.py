"""Learning curves of several seeds over robot-hours, and how they are drawn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from handlab_core.system.files import produce_atomically
from handlab_core.types import Array

plt.rcParams["text.parse_math"] = False  # a name may have dollar signs

POINTS = 300
"""Number of points of a drawn curve."""

SPREAD = 0.15
"""Opacity of the shaded band."""

COLUMNS = 3
"""Number of columns of a figure with one picture a task."""


@dataclass(frozen=True)
class Curve:
    """The evaluations of one run."""

    hours: tuple[float, ...]  # robot-hours of training, rising
    success: tuple[float, ...]  # share of the episodes

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], rate: str = "success_rate") -> "Curve":
        """Build a curve from a run's rows of metrics: the evaluations' `rate`."""
        judged = [r for r in rows if "evaluation" in r]
        return cls(
            tuple(r["robot_hours"] for r in judged),
            tuple(r["evaluation"][rate] for r in judged),
        )

    @classmethod
    def of_pairs(cls, pairs: Sequence[Sequence[float]]) -> "Curve":
        """Build a curve from `pairs`; the inverse except for the rounding."""
        return cls(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))

    def pairs(self) -> list[list[float]]:
        """Return pairs (hours, success), rounded so that they can be kept in a repository."""
        return [[round(h, 3), round(s, 3)] for h, s in zip(self.hours, self.success, strict=True)]

    def at(self, hours: Array) -> Array:
        """Return the success at some robot-hours, (P,).

        A curve without an evaluation at 0 h begins with no success. After the last evaluation it
        stays the same: a run ends because the task counts as learned, or is given up. Where several
        evaluations cost no robot time (cloning), the last of them counts.
        """
        known = {0.0: 0.0} | dict(zip(self.hours, self.success, strict=True))
        return np.interp(hours, list(known), list(known.values()))


@dataclass(frozen=True)
class Spread:
    """Several curves as one."""

    hours: Array  # (P,)
    median: Array  # (P,)
    least: Array  # (P,)
    most: Array  # (P,)


def together(curves: Sequence[Curve]) -> Spread:
    """Return median and extremes of curves, up to the end of the longest."""
    hours = np.linspace(0.0, max((c.hours[-1] for c in curves if c.hours), default=0.0), POINTS)
    values = np.array([curve.at(hours) for curve in curves])
    return Spread(hours, np.median(values, axis=0), values.min(axis=0), values.max(axis=0))


def draw(axes: Axes, curves: Sequence[Curve], label: str, colour: str) -> None:
    """Draw the median of some curves, and the band between the worst and the best."""
    spread = together(curves)
    axes.fill_between(
        spread.hours, 100 * spread.least, 100 * spread.most, color=colour, alpha=SPREAD, lw=0
    )
    axes.plot(spread.hours, 100 * spread.median, color=colour, lw=1.8, label=label)


def trim(axes: Axes) -> None:
    """Set the limits, names and grid that all pictures share."""
    axes.set(ylim=(-3, 103))
    axes.set_xlim(left=0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def overlay(groups: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Draw groups of runs, by name, in one picture."""
    figure, axes = plt.subplots(figsize=(9, 5))
    for i, (name, curves) in enumerate(groups.items()):
        seeds = "1 seed" if len(curves) == 1 else f"{len(curves)} seeds"
        draw(axes, curves, f"{name} ({seeds})", f"C{i % 10}")
    trim(axes)
    axes.set(xlabel="robot-hours, resets counted", ylabel="evaluation episodes that succeed [%]")
    axes.set_title("median of the seeds; band: worst to best", loc="left", fontsize=10)
    axes.legend(frameon=False, loc="upper left")
    _save(figure, path)


def side_by_side(
    groups: Mapping[str, Sequence[Curve]], limits: Mapping[str, float | None], path: Path
) -> None:
    """Draw one picture for each group, with its limit in robot-hours where it has one."""
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    size = (3.6 * columns, 2.6 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    for i, (axes, (name, curves)) in enumerate(zip(grid.flat, groups.items(), strict=False)):
        draw(axes, curves, name, f"C{i % 10}")
        if (limit := limits.get(name)) is not None:
            axes.axvline(limit, color="#9aa5b1", ls=":")
        trim(axes)
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_xlabel("robot-hours", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("success [%]", fontsize=8)
    _save(figure, path)


def kept_ways(
    rows: Mapping[str, Mapping[str, Any]],
    called: Mapping[str, str],
    curves_of: Callable[[Mapping[str, Any]], Sequence[Sequence[Sequence[float]]]],
) -> dict[str, dict[str, list[Curve]]]:
    """Return the curves that `ways` draws, from the rows of a kept result.

    Args:
        rows: by task; in each the kept figures of every way that was measured, by key.
        called: keys of the ways to draw, and their names in the picture.
        curves_of: returns the curves of one way, each as `Curve.pairs` keeps it.
    """
    return {
        task: {
            name: [Curve.of_pairs(pairs) for pairs in curves_of(row[key])]
            for key, name in called.items()
            if key in row
        }
        for task, row in rows.items()
    }


def ways(
    tasks: Mapping[str, Mapping[str, Sequence[Curve]]],
    path: Path,
    success: str = "success",
    logarithmic: bool = False,
) -> None:
    """Draw one picture for each task, and in it a curve for each way to learn.

    Args:
        tasks: by name; in each the curves of every way, by name.
        path: of the picture.
        success: what the curves are of.
        logarithmic: robot-hours, where ways are a hundred times apart.
    """
    size = (4.2 * len(tasks), 3.6)
    figure, grid = plt.subplots(1, len(tasks), figsize=size, sharey=True, squeeze=False)
    called = list(dict.fromkeys(way for curves in tasks.values() for way in curves))
    for axes, (task, curves) in zip(grid.flat, tasks.items(), strict=True):
        for way, runs in curves.items():
            draw(axes, runs, way, f"C{called.index(way) % 10}")
        trim(axes)
        if logarithmic:
            # An evaluation before the first episode is at 0 h, which has no place on this axis.
            every = [hours for runs in curves.values() for run in runs for hours in run.hours]
            axes.set_xlim(left=min((hours for hours in every if hours > 0), default=None))
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title(task, loc="left", fontsize=10)
        axes.set_xlabel("robot-hours, resets counted", fontsize=8)
    grid[0, 0].set_ylabel(f"{success} [%]", fontsize=8)
    drawn = {line.get_label(): line for axes in grid.flat for line in axes.lines}
    below: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0.0),
        "ncols": 4,
        "frameon": False,
    }
    figure.legend(list(drawn.values()), list(drawn), fontsize=8, **below)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    save_figure(figure, path, bbox_inches="tight")


def save_figure(figure: Any, path: Path, dpi: int = 130, bbox_inches: str | None = None) -> None:
    """Write a figure as PNG and close it.

    Raises:
        CannotWrite: the disk, the folder or the user's rights do not allow it.
    """

    def write(scratch: Path) -> None:
        figure.savefig(scratch, format="png", dpi=dpi, bbox_inches=bbox_inches)

    try:
        produce_atomically(path, write)
    finally:
        plt.close(figure)
