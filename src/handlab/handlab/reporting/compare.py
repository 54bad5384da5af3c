"""Learning curves of finished runs beside each other: runs that differ in the seed alone are one.

A group is everything that was asked for, but for the seed and for what does not change an episode:
the backend (graph and process give the same) and when to stop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from handlab.reporting.learning_curves import Curve, overlay
from handlab_core.errors import BadRun
from handlab_learning.runs.checkpoint import BEST, LAST
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import rate_text


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: RunFolder
    config: RunConfig
    summary: dict[str, Any]
    curve: Curve

    @property
    def group(self) -> str:
        """Readable name of the group: settings that its runs have in common."""
        reward = self.config.make_task().reward
        settings = [f"{name}={value}" for name, value in sorted(self.config.settings.items())]
        return " ".join([self.config.task, self.config.algorithm, f"reward={reward}", *settings])


def read_run(path: Path) -> Run:
    """Read what a run left behind.

    Raises:
        BadRun: it is no run folder, has not ended, or was never evaluated; says which.
    """
    folder = RunFolder(path)
    config, summary = folder.config(), folder.summary()
    curve = Curve.of_rows(folder.metrics())
    if not curve.hours:
        raise BadRun(f"{path} has no evaluation: there is no curve to draw")
    return Run(folder, config, summary, curve)


def compare(paths: Sequence[Path], picture: Path | None) -> dict[str, Any]:
    """Draw runs beside each other and return their figures.

    Args:
        paths: of run folders.
        picture: a PNG to write; None: none is drawn.

    Raises:
        BadRun: one is not a finished run, or comes twice, or a seed comes twice in a group.
    """
    groups: dict[str, list[Run]] = {}
    for path in paths:
        run = read_run(path)
        group = groups.setdefault(run.group, [])
        for other in group:
            if other.config.seed == run.config.seed:
                raise BadRun(
                    f"{path} and {other.folder.path} are both {run.group}, seed {run.config.seed}: "
                    "leave one out"
                )
        group.append(run)
    if picture is not None:
        overlay({name: [run.curve for run in runs] for name, runs in groups.items()}, picture)
    return {
        "picture": None if picture is None else str(picture),
        "groups": {name: _figures(runs) for name, runs in groups.items()},
    }


def _figures(runs: Sequence[Run]) -> dict[str, Any]:
    hours = [run.summary["robot_hours_to_success"] for run in runs]
    strict = [run.summary["robot_hours_to_strict_success"] for run in runs]
    return {
        "algorithm": runs[0].config.algorithm,
        "seeds": [run.config.seed for run in runs],
        "robot_hours_to_success": hours,
        "robot_hours_to_strict_success": strict,
        "median_robot_hours_to_success": median_or_never(hours),
        "median_robot_hours_to_strict_success": median_or_never(strict),
        "success_rate": [run.summary["success_rate"] for run in runs],
        "best_success_rate": [_rate(run.summary, BEST) for run in runs],
        "best_success_interval": [_interval(run.summary, BEST) for run in runs],
        "last_success_rate": [_rate(run.summary, LAST) for run in runs],
        "last_success_interval": [_interval(run.summary, LAST) for run in runs],
        "runs": [str(run.folder.path) for run in runs],
    }


def success_text(rate: float | None, interval: Sequence[float] | None) -> str:
    """Return a success rate with its interval, as far as the run has kept them."""
    if rate is None:
        return "unknown"
    low, high = interval or (None, None)
    return rate_text({"success_rate": rate, "success_rate_low": low, "success_rate_high": high})


def _evaluation(summary: Mapping[str, Any], policy: str) -> Mapping[str, Any]:
    """Return the figures of the best or the last policy; an old run has kept the last alone."""
    if policy in summary:
        return dict(summary[policy])
    return summary if policy == LAST else {}


def _rate(summary: Mapping[str, Any], policy: str) -> float | None:
    """Return the success of the best or the last policy; None: unknown."""
    rate = _evaluation(summary, policy).get("success_rate")
    return None if rate is None else float(rate)


def _interval(summary: Mapping[str, Any], policy: str) -> list[float] | None:
    """Return the ends of the interval of the success, as the run has kept it; None: unknown."""
    found = _evaluation(summary, policy)
    ends = [found.get(f"success_rate_{end}") for end in ("low", "high")]
    return None if None in ends else [float(end) for end in ends if end is not None]


def median_or_never(hours: Sequence[float | None]) -> float | None:
    """Return the median, in which None counts as never; None if the median is never."""
    middle = median([float("inf") if h is None else h for h in hours])
    return None if middle == float("inf") else middle
