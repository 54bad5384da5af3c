"""The training loop: sample, learn, evaluate, write. It knows neither ROS nor MuJoCo."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from handlab_core.episode import Episode
from handlab_core.errors import BadRun
from handlab_core.validation import Index, NotNegative, build, checked
from handlab_learning import checkpoint
from handlab_learning.algorithms import make_algorithm
from handlab_learning.evaluate import AFTER_TRAINING, DURING_TRAINING, judge
from handlab_learning.run_config import RunConfig
from handlab_learning.run_folder import RunFolder
from handlab_learning.sampler import Sampler

Row = dict[str, Any]


@checked
class Streak:
    """How often in a row evaluations were good, and when that began."""

    length: Index = 0
    since: NotNegative | None = None  # robot-hours at the first of them
    reached: NotNegative | None = None  # robot-hours to success: `since`, once it was long enough

    def after(self, good: bool, robot_hours: float, enough: int) -> "Streak":
        """The streak after one more evaluation."""
        if not good:
            return replace(self, length=0, since=None)
        since = robot_hours if self.since is None else self.since
        length = self.length + 1
        reached = since if self.reached is None and length >= enough else self.reached
        return Streak(length, since, reached)


@checked
class Progress:
    """Everything the loop must know to go on, besides the algorithm's own state."""

    iteration: Index = 0
    experience_s: NotNegative = 0.0
    reset_s: NotNegative = 0.0
    cooling_s: NotNegative = 0.0
    evaluation_s: NotNegative = 0.0
    """Robot time of evaluations; not part of `robot_hours`, which is what was learned from."""
    wall_s: NotNegative = 0.0
    success: Streak = Streak()
    strict: Streak = Streak()

    @property
    def robot_hours(self) -> float:
        """Experience, resets and cooling of all training episodes."""
        return (self.experience_s + self.reset_s + self.cooling_s) / 3600.0


class Trainer:
    """One run.

    Args:
        folder: of the run; its config.yaml says what to do.
        sampler: where episodes come from.
        resume: go on from the newest checkpoint.
        demonstrations: to learn from, if the algorithm does.
        on_row: called with each row of metrics.
        on_episode: called with each finished episode.
        recording: context of the final evaluation.
        stop: asked between iterations; True ends the run as it is.
    """

    def __init__(
        self,
        folder: RunFolder,
        sampler: Sampler,
        resume: bool = False,
        on_row: Callable[[Row], None] = lambda row: None,
        *,
        demonstrations: Sequence[Episode] = (),
        on_episode: Callable[[Episode], None] | None = None,
        recording: AbstractContextManager[Any] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.sampler = folder, sampler
        self.config: RunConfig = folder.config()
        self.task = self.config.make_task()
        settings, seed = self.config.algorithm_config(), self.config.seed
        self.algorithm = make_algorithm(
            self.config.algorithm, self.task.spaces, settings, seed, demonstrations
        )
        self.progress = Progress()
        self._on_row, self._on_episode, self._stop = on_row, on_episode, stop
        self._recording = recording or nullcontext()
        if resume:
            self._resume()

    def run(self) -> Row:
        """Train to the end and return the summary, which is also written."""
        writer = SummaryWriter(str(self.folder.path), purge_step=self.progress.iteration)
        try:
            while not self._ended():
                row = self._iterate()
                self._write(row, writer)
        finally:
            writer.close()
        return self._finish()

    def _iterate(self) -> Row:
        began = time.monotonic()
        n = self.algorithm.episodes_per_iteration
        first = self.progress.iteration * n
        policy, seed = self.algorithm.policy(), self.config.seed
        numbers = range(first, first + n)
        episodes: list[Episode] = []
        if n:
            episodes = self.sampler.sample(policy, seed, numbers, on_episode=self._on_episode)
        sampled = time.monotonic()
        row = self._learn(episodes)
        row["learn_s"] = time.monotonic() - sampled
        if episodes:
            row["steps_per_s"] = sum(e.steps for e in episodes) / (sampled - began)
        if self.progress.iteration % self.config.evaluate_every == 0:
            row["evaluation"] = self._evaluate()
        wall = self.progress.wall_s + time.monotonic() - began
        self.progress = replace(self.progress, wall_s=wall)
        row["wall_s"] = wall
        return row

    def _learn(self, episodes: list[Episode]) -> Row:
        metrics = self.algorithm.update(episodes)
        self.progress = replace(
            self.progress,
            iteration=self.progress.iteration + 1,
            experience_s=self.progress.experience_s + sum(e.experience_s for e in episodes),
            reset_s=self.progress.reset_s + sum(e.reset_s for e in episodes),
            cooling_s=self.progress.cooling_s + sum(e.cooling_s for e in episodes),
        )
        return {
            "iteration": self.progress.iteration,
            "robot_hours": self.progress.robot_hours,
            "experience_s": self.progress.experience_s,
            "reset_s": self.progress.reset_s,
            "cooling_s": self.progress.cooling_s,
            "learner": metrics,
        } | (_sampled(episodes) if episodes else {})

    def _evaluate(self) -> Row:
        """Judge the present policy and count the streaks."""
        first = DURING_TRAINING + self.progress.iteration * self.config.evaluation_episodes
        verdict = judge(self._evaluation_episodes(first))
        whole = verdict["episodes"] == self.config.evaluation_episodes
        hours, enough, rate = (
            self.progress.robot_hours,
            self.config.streak,
            self.config.success_rate,
        )
        good = whole and verdict["success_rate"] >= rate
        strict = whole and verdict["strict_success_rate"] >= rate
        self.progress = replace(
            self.progress,
            evaluation_s=self.progress.evaluation_s + verdict["robot_s"],
            success=self.progress.success.after(good, hours, enough),
            strict=self.progress.strict.after(strict, hours, enough),
        )
        return verdict

    def _evaluation_episodes(self, first: int, whole: bool = False) -> list[Episode]:
        """Run evaluation episodes, unless `whole` only until they cannot turn out good any more.

        A policy that knows nothing fails at once; there is no need to watch it thirty times.
        """
        count = self.config.evaluation_episodes
        spare = int(count * (1.0 - self.config.success_rate) + 1e-9)  # so many may fail
        episodes: list[Episode] = []
        batch = count if whole else spare + 1
        while len(episodes) < count:
            begin = first + len(episodes)
            end = min(begin + batch, first + count)
            episodes += self.sampler.sample(
                self.algorithm.policy(),
                self.config.seed,
                range(begin, end),
                deterministic=True,
                on_episode=self._on_episode,
            )
            if not whole and sum(not e.success for e in episodes) > spare:
                break
            batch *= 2
        return episodes

    def _ended(self) -> bool:
        if self._stop() or self.algorithm.finished:
            return True
        if self.progress.robot_hours >= self.config.max_hours:
            return True
        success, strict = self.progress.success, self.progress.strict
        wanted = {"success": [success], "strict": [success, strict], "hours": []}
        criteria = wanted[self.config.until]
        return bool(criteria) and all(streak.reached is not None for streak in criteria)

    def _write(self, row: Row, writer: SummaryWriter) -> None:
        self.folder.append(row)
        checkpoint.save(
            self.folder.checkpoints,
            self.progress.iteration,
            self.task,
            self.algorithm.policy(),
            self.algorithm.state_dict(),
            asdict(self.progress),
        )
        for name, value in _flat(row):
            writer.add_scalar(name, value, row["iteration"])
        self._on_row(row)

    def _finish(self) -> Row:
        began = time.monotonic()
        reached = self.progress
        with self._recording:
            verdict = judge(self._evaluation_episodes(AFTER_TRAINING, whole=True))
        evaluation_s = reached.evaluation_s + verdict["robot_s"]
        summary = {
            "task": self.task.name,
            "algorithm": self.config.algorithm,
            "backend": self.config.backend,
            "seed": self.config.seed,
            "iterations": reached.iteration,
            **{k: verdict[k] for k in ("success_rate", "strict_success_rate", "mean_return")},
            "evaluation_episodes": verdict["episodes"],
            "robot_hours": reached.robot_hours,
            "robot_hours_to_success": reached.success.reached,
            "robot_hours_to_strict_success": reached.strict.reached,
            "experience_s": reached.experience_s,
            "reset_s": reached.reset_s,
            "cooling_s": reached.cooling_s,
            "evaluation_s": evaluation_s,
            "wall_s": reached.wall_s + time.monotonic() - began,
            "run_dir": str(self.folder.path),
        }
        self.folder.write_summary(summary)
        return summary

    def _resume(self) -> None:
        newest = self.folder.newest_checkpoint()
        where = f"progress in {newest.manifest_path}"
        progress = build(Progress, newest.manifest["progress"], where, BadRun)
        if progress.iteration != newest.manifest["iteration"]:
            raise BadRun(f"{where} is of iteration {progress.iteration}; the checkpoint is not")
        state = newest.state()
        checkpoint.check_state(state, self.algorithm.state_dict(), newest.tensors_path)
        try:
            self.algorithm.load_state_dict(state)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise BadRun(f"{newest.tensors_path} cannot be gone on from: {error}") from None
        self.progress = progress
        self.folder.cut(self.progress.iteration)


def _flat(row: Row, prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of a nested row, with names joined by slashes."""
    pairs = []
    for name, value in row.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            pairs.append((f"{prefix}{name}", float(value)))
    return pairs


def _sampled(episodes: list[Episode]) -> Row:
    """What there is to say of the episodes of an iteration."""
    return {
        "mean_return": float(np.mean([e.episode_return for e in episodes])),
        "training_success_rate": float(np.mean([e.success for e in episodes])),
        "reset_attempts": int(sum(e.reset_attempts for e in episodes)),
    } | _temperatures(episodes)


def _temperatures(episodes: list[Episode]) -> Row:
    """The highest of each joint, if they are known; degrees Celsius."""
    highest = np.max([e.temperatures for e in episodes], axis=0)
    return {"temperatures": highest.tolist()} if np.isfinite(highest).all() else {}
