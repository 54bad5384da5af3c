"""Earlier runs of a task: kept results of benches, and run folders beside the present one."""

from collections.abc import Iterator, Mapping
from typing import Any

from handlab_core.errors import HandlabError
from handlab_core.system.files import read_json
from handlab_core.system.paths import share
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.progress import Streak
from handlab_learning.runs.time_to_success import Curve, EarlierRun, Estimate, estimate, text

MOST_FOLDERS = 60
"""Newest run folders that are read; each takes some milliseconds."""

RATES = {"success": "success_rate", "strict": "strict_success_rate"}
"""Rate of an evaluation by criterion."""

STANDARD = {"scratch", "nothing"}
"""Names of rows of results that begin from nothing."""


class _Course:
    """Evaluations of one run by one criterion, and their streak."""

    def __init__(self, config: RunConfig, criterion: str) -> None:
        self._config, self._rate = config, RATES[criterion]
        self.curve: list[tuple[float, float]] = []  # robot-hours and success rate
        self.streak = Streak()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row of metrics; only evaluations matter."""
        if (evaluation := row.get("evaluation")) is None:
            return
        rate, hours = float(evaluation[self._rate]), float(row["robot_hours"])
        self.curve.append((hours, rate))
        config = self._config
        self.streak = self.streak.after(rate >= config.success_rate, hours, config.streak)


class RobotTimeMeter:
    """Estimates the robot time to success while a run learns.

    Until the task counts as learned, that is the time to it; after that, of a run until strict
    success, the time to strict success.

    Args:
        folder: of the run; earlier runs are those beside it, and those of kept results.
    """

    def __init__(self, folder: RunFolder) -> None:
        config = folder.config()
        self._criteria = ["success"] if config.until == "success" else ["success", "strict"]
        self._earlier = {criterion: earlier_runs(folder, criterion) for criterion in self._criteria}
        self._courses = {criterion: _Course(config, criterion) for criterion in self._criteria}
        if folder.metrics_path.is_file():  # a resumed run
            for row in folder.metrics():
                self.update(row)

    def update(self, row: Mapping[str, Any]) -> None:
        """Take a row of metrics."""
        for course in self._courses.values():
            course.add(row)

    @property
    def criterion(self) -> str:
        """Criterion that the run has not met yet; empty: it has met all."""
        left = [c for c in self._criteria if self._courses[c].streak.reached is None]
        return left[0] if left else ""

    @property
    def estimate(self) -> Estimate | None:
        """Remaining robot time; None: unknown, or the run has succeeded."""
        if not self.criterion:
            return None
        return estimate(self._earlier[self.criterion], tuple(self._courses[self.criterion].curve))

    @property
    def text(self) -> str:
        """Estimate in words; empty if the run has succeeded."""
        if not self.criterion:
            return ""
        name = "success" if self.criterion == "success" else "strict success"
        return f"robot time to {name}: {text(self.estimate, len(self._earlier[self.criterion]))}"


def earlier_runs(folder: RunFolder, criterion: str) -> list[EarlierRun]:
    """Return the earlier runs of the same task and algorithm.

    Args:
        folder: of the present run.
        criterion: key of RATES.
    """
    config = folder.config()
    return [*_beside(folder, config, criterion), *_kept(config, criterion)]


def _beside(folder: RunFolder, config: RunConfig, criterion: str) -> Iterator[EarlierRun]:
    """Return the runs beside a folder, finished or not; a damaged one is left out."""
    named = f"*-{config.task}-{config.algorithm}-s*"
    paths = sorted(folder.path.parent.glob(named), reverse=True)[:MOST_FOLDERS]
    for path in paths:
        other = RunFolder(path)
        if other.path == folder.path:
            continue
        try:
            if _compares(other.config(), config):
                yield _read(other, criterion)
        except HandlabError:
            continue


def _compares(other: RunConfig, config: RunConfig) -> bool:
    """Whether two runs learn the same from the same."""
    return all(
        getattr(other, name) == getattr(config, name)
        for name in ("task", "algorithm", "demos", "vary", "settings", "reward")
    )


def _read(folder: RunFolder, criterion: str) -> EarlierRun:
    config, rows = folder.config(), folder.metrics()
    course = _Course(config, criterion)
    for row in rows:
        course.add(row)
    ended = float(rows[-1]["robot_hours"]) if rows else 0.0
    return EarlierRun(course.streak.reached, ended, tuple(course.curve), config.streak)


def _kept(config: RunConfig, criterion: str) -> Iterator[EarlierRun]:
    """Return the runs in the kept results of benches; they have the algorithm's own settings."""
    if config.settings or config.vary or config.reward:
        return
    from_nothing = not config.demos
    for row, unit, algorithm, start in _rows(config.task):
        if algorithm != config.algorithm or from_nothing != (start in STANDARD):
            continue
        if not from_nothing and start != config.algorithm:  # of other demonstrations
            continue
        yield from _runs(row, unit, criterion)


def _rows(task: str) -> Iterator[tuple[Mapping[str, Any], float, str, str]]:
    """Return rows of results of a task: row, hours of a unit of time, algorithm, start."""
    for row in _result("minutes").get("rows", {}).values():
        if row.get("task") == task:
            yield row, 1 / 60, "rlpd", str(row.get("start"))
    for start, row in _result("demos").get("tasks", {}).get(task, {}).items():
        if isinstance(row, dict) and "seeds" in row:
            yield row, 1.0, str(row.get("algorithm")), start
    if row := _result("tasks").get("tasks", {}).get(task):
        yield row, 1.0, "npg", "nothing"


def _result(bench: str) -> dict[str, Any]:
    path = share() / "results" / f"{bench}.json"
    try:
        return dict(read_json(path)) if path.is_file() else {}
    except HandlabError:
        return {}


def _runs(row: Mapping[str, Any], unit: float, criterion: str) -> Iterator[EarlierRun]:
    """Return the runs of a row of results; its curves are of success by its own criterion."""
    strict_only = "robot_minutes" in row
    if strict_only and criterion != "strict":
        return
    name = "robot_minutes" if strict_only else f"robot_hours_to_{_long(criterion)}"
    times = row.get(name, [])
    curves = row.get("curves", []) if strict_only or criterion == "success" else []
    for i, time in enumerate(times):
        curve: Curve = tuple((float(h), float(r)) for h, r in curves[i]) if i < len(curves) else ()
        given_up = float(row["given_up_after"]) * unit
        ended = curve[-1][0] if curve else given_up
        yield EarlierRun(None if time is None else float(time) * unit, ended, curve, 3)


def _long(criterion: str) -> str:
    return "success" if criterion == "success" else "strict_success"
