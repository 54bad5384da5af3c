"""The folder of one run: config.yaml, metrics.jsonl, checkpoints/, summary.json and more."""

import json
import shlex
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from handlab_core.errors import BadRun
from handlab_core.files import (
    dump_yaml,
    parse_json,
    read_json,
    read_text,
    read_yaml,
    write_atomically,
)
from handlab_core.validation import Fraction, Index, NotNegative, Number, Seed, Text, build
from handlab_learning import checkpoint
from handlab_learning.checkpoint import Checkpoint
from handlab_learning.run_config import RunConfig

OPEN = ConfigDict(extra="allow", allow_inf_nan=False)
"""More keys may be there than readers rely on."""


@with_config(OPEN)
class Evaluation(TypedDict):
    """What every reader of an evaluation relies on."""

    success_rate: Fraction
    strict_success_rate: Fraction


@with_config(OPEN)
class Row(TypedDict):
    """One line of metrics.jsonl, as far as readers rely on it."""

    iteration: Index
    robot_hours: NotNegative
    mean_return: NotRequired[Number]
    temperatures: NotRequired[list[Number]]
    evaluation: NotRequired[Evaluation]


@with_config(OPEN)
class Summary(TypedDict):
    """What summary.json holds, as far as readers rely on it."""

    task: Text
    algorithm: Text
    backend: Text
    seed: Seed
    iterations: Index
    success_rate: Fraction
    strict_success_rate: Fraction
    evaluation_episodes: Index
    robot_hours: NotNegative
    robot_hours_to_success: NotNegative | None
    robot_hours_to_strict_success: NotNegative | None
    wall_s: NotNegative
    run_dir: Text


class RunFolder:
    """Reads and writes one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @classmethod
    def create(cls, root: Path, config: RunConfig, now: datetime) -> "RunFolder":
        """Make a new folder, named after time, task, algorithm and seed."""
        name = f"{now:%Y%m%d-%H%M%S}-{config.task}-{config.algorithm}-s{config.seed}"
        path, n = root / name, 1
        while path.exists():
            n += 1
            path = root / f"{name}-{n}"
        path.mkdir(parents=True)
        folder = cls(path)
        header = "# Written by the run, for the record and for --resume.\n"
        write_atomically(folder.config_path, header + dump_yaml(config.resolved()))
        return folder

    @property
    def config_path(self) -> Path:
        """What was asked for."""
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """One JSON object per iteration."""
        return self.path / "metrics.jsonl"

    @property
    def summary_path(self) -> Path:
        """How it ended."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def bag(self) -> Path:
        """The final evaluation as a rosbag2 bag."""
        return self.path / "bag"

    def config(self) -> RunConfig:
        """Read what was asked for.

        Raises:
            BadRun: the folder or the file is not there or not whole.
        """
        if not self.path.is_dir():
            raise BadRun(f"there is no run folder {self.path}")
        if not self.config_path.exists():
            raise BadRun(f"{self.path} is not a run folder: it has no config.yaml")
        data = read_yaml(self.config_path, BadRun)
        if lacking := {f.name for f in fields(RunConfig)} - set(data):
            raise BadRun(f"{self.config_path} is truncated: it lacks {', '.join(sorted(lacking))}")
        data.pop("resolved", None)  # for people to read; `settings` is what counts
        return build(RunConfig, data, str(self.config_path), BadRun)

    def newest_checkpoint(self) -> Checkpoint:
        """The checkpoint to go on from; BadRun if there is none."""
        return checkpoint.load(self.path)

    def metrics(self) -> list[dict[str, Any]]:
        """All complete rows; a last line that was cut off by a crash is left out.

        Raises:
            BadRun: the file is not there, or a line within it is not a row of metrics.
        """
        if self.path.is_dir() and not self.metrics_path.exists():
            raise BadRun(f"{self.path} has no metrics.jsonl; did the run begin?")
        *lines, unfinished = read_text(self.metrics_path, BadRun).split("\n")
        rows = [self._row(line, number) for number, line in enumerate(lines, 1)]
        with suppress(BadRun):
            rows += [self._row(unfinished, len(lines) + 1)] if unfinished else []
        return rows

    def _row(self, line: str, number: int) -> dict[str, Any]:
        where = f"{self.metrics_path} line {number}"
        return dict(build(Row, parse_json(line, where, BadRun), where, BadRun))

    def append(self, row: dict[str, Any]) -> None:
        """Add a row of metrics."""
        with self.metrics_path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def cut(self, iteration: int) -> None:
        """Forget rows after an iteration: they will be made again from its checkpoint."""
        rows = self.metrics() if self.metrics_path.exists() else []
        kept = [json.dumps(row) + "\n" for row in rows if row["iteration"] <= iteration]
        write_atomically(self.metrics_path, "".join(kept))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write how it ended."""
        write_atomically(self.summary_path, json.dumps(summary, indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """Read how it ended; BadRun if it did not."""
        if not self.path.is_dir():
            raise BadRun(f"there is no run folder {self.path}")
        if not self.summary_path.exists():
            if not self.config_path.exists():
                raise BadRun(f"{self.path} is not a run folder: it has no config.yaml")
            raise BadRun(
                f"{self.path} has no summary.json: the run has not ended; finish it with: "
                f"./handlab train --resume {shlex.quote(str(self.path))}"
            )
        given = read_json(self.summary_path, BadRun)
        return dict(build(Summary, given, str(self.summary_path), BadRun))
