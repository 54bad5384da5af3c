"""Folder of one run: config.yaml, metrics.jsonl, checkpoints/, replay/, summary.json and more."""

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, NotRequired, TextIO

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from handlab_core.errors import BadRun, RunInUse
from handlab_core.system.files import (
    dump_yaml,
    parse_json,
    read_json,
    read_text,
    read_yaml,
    remove_scratch,
    write_atomically,
    writing,
)
from handlab_core.system.validation import Fraction, Index, NotNegative, Number, Seed, Text, build
from handlab_learning.runs import checkpoint
from handlab_learning.runs.checkpoint import Checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.replay_log import ReplayLog

OPEN = ConfigDict(extra="allow", allow_inf_nan=False)
"""Configuration of schemas that allow further keys."""


@with_config(OPEN)
class Evaluation(TypedDict):
    """Keys of an evaluation that readers need."""

    success_rate: Fraction
    strict_success_rate: Fraction
    success_rate_low: NotRequired[Fraction]
    success_rate_high: NotRequired[Fraction]
    episodes: NotRequired[Index]


@with_config(OPEN)
class KeptPolicy(Evaluation):
    """Final evaluation of a policy that the run keeps."""

    iteration: Index


@with_config(OPEN)
class MetricsRow(TypedDict):
    """Keys of a line of metrics.jsonl that readers need."""

    iteration: Index
    robot_hours: NotNegative
    mean_return: NotRequired[Number]
    temperatures: NotRequired[list[Number]]
    intervention_rate: NotRequired[Fraction]
    evaluation: NotRequired[Evaluation]
    best_iteration: NotRequired[Index]


@with_config(OPEN)
class Summary(TypedDict):
    """Keys of summary.json that readers need."""

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
    success_rate_low: NotRequired[Fraction]
    success_rate_high: NotRequired[Fraction]
    best: NotRequired[KeptPolicy]
    last: NotRequired[KeptPolicy]
    initial: NotRequired[Evaluation | None]


LATER = {"interventions", "base", "randomise", "fitted", "workers"}
"""Options that runs of earlier versions do not have; their defaults are the behaviour of then."""

COPY = "metrics.before-resume.jsonl"
"""Name of the backup of all rows before some are removed."""

REPLAY = "replay"
"""Name of the folder of the log of training episodes."""

LOCK = ".lock"
"""Name of the lock file of the process that writes into the folder."""


class RunFolder:
    """Reads and writes the folder of one run.

    Args:
        path: of the folder.
        config: the run's configuration; None: that in the folder, read when it is needed.
    """

    def __init__(self, path: Path, config: RunConfig | None = None) -> None:
        self.path, self._config = path.resolve(), config

    @classmethod
    def create(cls, root: Path, config: RunConfig, now: datetime) -> "RunFolder":
        """Make a new folder, named after time, task, algorithm and seed.

        Raises:
            CannotWrite: the disk, the folder above or the user's rights do not allow it.
        """
        name = f"{now:%Y%m%d-%H%M%S}-{config.task}-{config.algorithm}-s{config.seed}"
        path, n = root / name, 1
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
        with writing(path):
            while True:
                try:
                    path.mkdir()  # two runs may be made at the same time
                    break
                except FileExistsError:
                    n += 1
                    path = root / f"{name}-{n}"
        folder = cls(path, config)
        header = "# Written by the run, for the record and for --resume.\n"
        write_atomically(folder.config_path, header + dump_yaml(config.resolved()))
        return folder

    @property
    def config_path(self) -> Path:
        """Path of the configuration."""
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """Path of the metrics, one JSON object per iteration."""
        return self.path / "metrics.jsonl"

    @property
    def summary_path(self) -> Path:
        """Path of the summary."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the newest checkpoints; the newest is the last policy."""
        return self.path / checkpoint.CHECKPOINTS

    @property
    def candidates(self) -> Path:
        """Folder of the policies with the best evaluations."""
        return self.path / checkpoint.CANDIDATES

    @property
    def best(self) -> Path:
        """Folder of the policy that the run hands out."""
        return self.path / checkpoint.BEST

    @property
    def replay(self) -> ReplayLog:
        """Log of the training episodes, for algorithms that learn from all of them."""
        return ReplayLog(self.path / REPLAY)

    @property
    def bag(self) -> Path:
        """Path of the final evaluation as a rosbag2 bag."""
        return self.path / "bag"

    def config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            BadRun: the folder or the file is missing or damaged.
        """
        if self._config is None:
            self._config = self._read_config()
        return self._config

    def _check_run(self) -> None:
        if not self.path.is_dir():
            raise BadRun(f"there is no run folder {self.path}")
        if not self.config_path.exists():
            raise BadRun(f"{self.path} is not a run folder: it has no config.yaml")

    def _read_config(self) -> RunConfig:
        self._check_run()
        data = read_yaml(self.config_path, BadRun)
        if lacking := {f.name for f in fields(RunConfig)} - set(data) - LATER:
            raise BadRun(f"{self.config_path} is truncated: it lacks {', '.join(sorted(lacking))}")
        data.pop("resolved", None)  # for people to read; `settings` is what counts
        return build(RunConfig, data, str(self.config_path), BadRun)

    def newest_checkpoint(self) -> Checkpoint:
        """Load the checkpoint to resume from; raise BadRun if there is none."""
        return checkpoint.newest(self.checkpoints, self.path)

    def metrics(self) -> list[dict[str, Any]]:
        """Read all complete rows, without a last line that a crash has truncated.

        Raises:
            BadRun: the file is missing, or a line is not a row of metrics.
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
        return dict(build(MetricsRow, parse_json(line, where, BadRun), where, BadRun))

    def append(self, row: dict[str, Any]) -> None:
        """Append a row of metrics and flush it to the disk.

        Raises:
            CannotWrite: the disk, the folder or the user's rights do not allow it; no part of the
                row remains.
        """
        with writing(self.metrics_path), self.metrics_path.open("ab") as file:
            before = file.tell()
            try:
                file.write((json.dumps(row) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def cut(self, reached: Checkpoint) -> None:
        """Remove the rows after a checkpoint, which the resumed run will write again.

        The checkpoint contains its own row, in case the file lacks it. Before whole rows are
        removed, the file `COPY` receives all rows.

        Raises:
            BadRun: rows before the checkpoint are missing; it belongs to another run.
        """
        rows = self.metrics() if self.metrics_path.is_file() else []
        lines = read_text(self.metrics_path, BadRun).split("\n") if rows else []
        last = reached.manifest["iteration"]
        kept = {
            i: line for i, line in enumerate(lines[: len(rows)]) if rows[i]["iteration"] <= last
        }
        numbers = [rows[i]["iteration"] for i in kept]
        text = "".join(line + "\n" for line in kept.values())
        own = reached.manifest.get("row")
        if own is not None and numbers[-1:] != [last]:
            numbers.append(last)
            text += json.dumps(own) + "\n"
        if numbers != list(range(last + 1 - len(numbers), last + 1)) or len(numbers) < last:
            raise BadRun(
                f"{self.metrics_path} has no gapless rows up to iteration {last}, of which "
                f"{reached.manifest_path} is; restore the file, or begin a new run"
            )
        if text == "\n".join(lines):
            return
        if len(kept) < len(rows):
            write_atomically(self.path / COPY, "\n".join(lines))
        write_atomically(self.metrics_path, text)

    def is_new(self) -> bool:
        """Return whether the run has no checkpoint yet, so that it begins again.

        Raises:
            BadRun: the metrics are damaged.
        """
        rows = self.metrics() if self.metrics_path.exists() else []
        begun = checkpoint.manifests(self.checkpoints) or any(row["iteration"] > 0 for row in rows)
        return not begun and self.config_path.exists()

    def forget_beginning(self) -> None:
        """Remove the row and the candidate before the first checkpoint; episodes stay."""
        self.metrics_path.unlink(missing_ok=True)
        self.forget_candidates(after=-1)

    def forget_candidates(self, after: int) -> None:
        """Remove the candidates of iterations that the resumed run will repeat."""
        for manifest in checkpoint.manifests(self.candidates):
            if checkpoint.load(manifest).manifest["iteration"] > after:
                checkpoint.remove(manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Prevent other processes from writing into the folder within the context.

        The kernel releases the lock at any end of this process.

        Raises:
            RunInUse: another process writes into the folder; the message names it.
            CannotWrite: the folder or the user's rights do not allow it.
            BadRun: there is no such folder.
        """
        if not self.path.is_dir():
            raise BadRun(f"there is no run folder {self.path}")
        path = self.path / LOCK
        with writing(path):
            file = path.open("a+")
        with file:
            with writing(path):
                self._lock(file)
                for folder in (self.path, self.checkpoints, self.candidates, self.best):
                    remove_scratch(folder)
            yield

    def _lock(self, file: TextIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunInUse(
                f"{self.path} is being written by process {file.read().strip() or '(unknown)'}; "
                "wait until that has ended, or end it first"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()} ({' '.join(sys.argv)[:200]})\n")
        file.flush()

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the summary."""
        write_atomically(self.summary_path, json.dumps(summary, indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """Read the summary; raise BadRun if the run has not ended."""
        if not self.summary_path.exists():
            self._check_run()
            raise BadRun(
                f"{self.path} has no summary.json: the run has not ended; finish it with: "
                f"./handlab train --resume {shlex.quote(str(self.path))}"
            )
        given = read_json(self.summary_path, BadRun)
        return dict(build(Summary, given, str(self.summary_path), BadRun))
