"""The folder of one run: config.yaml, metrics.jsonl, checkpoints/, summary.json and more."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from handlab_core.errors import BadRun
from handlab_core.files import write_atomically
from handlab_learning import checkpoint
from handlab_learning.checkpoint import Checkpoint
from handlab_learning.run_config import RunConfig


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
        write_atomically(
            folder.config_path, header + yaml.safe_dump(config.resolved(), sort_keys=False)
        )
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
        try:
            data = yaml.safe_load(self.config_path.read_text())
        except OSError as error:
            raise BadRun(f"{self.path} is not a run folder: it has no config.yaml") from error
        except yaml.YAMLError as error:
            raise BadRun(f"{self.config_path} is damaged: {error}") from error
        names = {f.name for f in fields(RunConfig)}
        if not isinstance(data, dict) or names - set(data):
            lacking = sorted(names - set(data)) if isinstance(data, dict) else "everything"
            raise BadRun(f"{self.config_path} is truncated: it lacks {lacking}")
        return RunConfig(**{name: data[name] for name in names})

    def newest_checkpoint(self) -> Checkpoint:
        """The checkpoint to go on from; BadRun if there is none."""
        return checkpoint.load(self.path)

    def metrics(self) -> list[dict[str, Any]]:
        """All complete rows; a last line that was cut off by a crash is left out.

        Raises:
            BadRun: the file is not there, or a line within it is not JSON.
        """
        try:
            lines = self.metrics_path.read_text().splitlines()
        except OSError as error:
            raise BadRun(f"{self.path} has no metrics.jsonl; did the run begin?") from error
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                if number < len(lines):
                    raise BadRun(f"{self.metrics_path} line {number} is damaged") from error
        return rows

    def append(self, row: dict[str, Any]) -> None:
        """Add a row of metrics."""
        with self.metrics_path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def cut(self, iteration: int) -> None:
        """Forget rows after an iteration: they will be made again from its checkpoint."""
        rows = self.metrics() if self.metrics_path.is_file() else []
        kept = [json.dumps(row) + "\n" for row in rows if row["iteration"] <= iteration]
        write_atomically(self.metrics_path, "".join(kept))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write how it ended."""
        write_atomically(self.summary_path, json.dumps(summary, indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """Read how it ended; BadRun if it did not."""
        try:
            summary: dict[str, Any] = json.loads(self.summary_path.read_text())
        except OSError as error:
            hint = f"finish it with: ./handlab train --resume {self.path}"
            raise BadRun(
                f"{self.path} has no summary.json: the run has not ended; {hint}"
            ) from error
        except ValueError as error:
            raise BadRun(f"{self.summary_path} is damaged: {error}") from error
        return summary
