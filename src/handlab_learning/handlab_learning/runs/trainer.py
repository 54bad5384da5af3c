"""The training loop: sample, learn, evaluate, write. It depends neither on ROS nor on MuJoCo.

A run keeps two policies. The *last* policy is the one that training ended with, and from which it
resumes. The *best* policy is the one that the run hands out; see `final_selection`.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from handlab_core.environment.episode import Episode, EpisodeKey, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.system.provenance import commit
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs.checkpoint import BEST, LAST
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import (
    AFTER_TRAINING,
    RATES,
    Evaluator,
    summarize,
)
from handlab_learning.runs.final_selection import Finalist, choose, finalists
from handlab_learning.runs.progress import Progress
from handlab_learning.runs.replay_log import ReplayLog
from handlab_learning.runs.sampler import Sampler
from handlab_learning.runs.soundness import Sieve
from handlab_learning.runs.writer import Metrics, RunWriter


class Trainer:
    """Learns one task; building it reads and writes no file.

    Args:
        config: of the run.
        sampler: runs the training episodes and the evaluations.
        on_row: called with each row of metrics.
        demonstrations: empty for algorithms that learn without demonstrations.
        base: policy that the algorithm corrects; None for all other algorithms.
        first_sampler: runs the evaluation before the first update; None: `sampler`. Simulations of
            its own leave those that are learned from as they were; a real robot exists once.
        recording: context of the final evaluation.
        stop: called between iterations; True ends the run.
        enough: called about every 0.1 s while the algorithm updates and episodes run; True ends
            the updates early, because the episodes have ended.

    Raises:
        BadDemonstrations: the algorithm needs demonstrations, or they are of other sizes.
    """

    def __init__(
        self,
        config: RunConfig,
        sampler: Sampler,
        on_row: Callable[[Metrics], None] = lambda row: None,
        *,
        demonstrations: Sequence[Episode] = (),
        base: Policy | None = None,
        first_sampler: Sampler | None = None,
        recording: AbstractContextManager[Any] | None = None,
        stop: Callable[[], bool] = lambda: False,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config, self.sampler = config, sampler
        self._on_row, self._stop, self._enough = on_row, stop, enough
        self._recording = recording or nullcontext()
        self.task = config.make_task()
        settings, seed = config.algorithm_config(), config.seed
        self.algorithm = make_algorithm(
            config.algorithm, self.task.spaces, settings, seed, demonstrations, base
        )
        self.progress = Progress()
        self._sieve = Sieve(self.task.reward_terms)
        count = config.evaluation_episodes
        self._evaluator = Evaluator(sampler, seed, count)
        self._first_evaluator = Evaluator(first_sampler or sampler, seed, count)
        self._replay: ReplayLog | None = None
        self._unlearned: dict[EpisodeKey, Episode] = {}  # of the log, after the newest checkpoint

    def run(self, folder: RunFolder, resume: bool = False) -> Metrics:
        """Train to the end and return the summary.

        Args:
            folder: all files are written here; it is locked until the run has ended.
            resume: continue from the newest checkpoint.

        Raises:
            RunInUse: another process writes into the folder.
            BadRun: the run cannot be resumed; nothing in the folder is changed then.
            CannotWrite: the disk, the folder or the user's rights do not allow it; the run can be
                resumed.
        """
        with folder.locked():
            writer = RunWriter(folder, self.task)
            reached = writer.begin(self.algorithm, resume)
            self.progress = reached or self.progress
            if self.algorithm.remembers:
                self._replay, self._unlearned = folder.replay, dict(writer.unlearned)
            with writer.events(self.progress.iteration):
                if reached is None:
                    self._write(self.evaluate_first(), writer)
                while not self.ended():
                    self._write(self.iterate(), writer)
            return self._finish(writer)

    def evaluate_first(self) -> Metrics:
        """Evaluate the policy before the first update; a cloned one may already be good enough."""
        began = time.monotonic()
        evaluation = self.evaluate(self._first_evaluator)
        wall_s = time.monotonic() - began
        self.progress = replace(self.progress, wall_s=wall_s, initial=evaluation)
        return self.progress.spent() | {"learner": {}, "evaluation": evaluation, "wall_s": wall_s}

    def iterate(self) -> Metrics:
        """Sample episodes, learn, and evaluate when it is due; return the row."""
        began = time.monotonic()
        episodes, meanwhile = self._sample()
        sampled = time.monotonic()
        row = self._learn(episodes)
        row["learner"] = meanwhile | row["learner"]
        row["learn_s"] = time.monotonic() - sampled
        if episodes:
            row["steps_per_s"] = sum(e.steps for e in episodes) / (sampled - began)
        due = self.progress.iteration % self.config.evaluate_every == 0
        if due and self.algorithm.promising:
            row["evaluation"] = self.evaluate(self._evaluator)
        wall = self.progress.wall_s + time.monotonic() - began
        self.progress = replace(self.progress, wall_s=wall)
        row["wall_s"] = wall
        return row

    def _sample(self) -> tuple[list[Episode], Metrics]:
        """Run the episodes of an iteration and, meanwhile, learn from earlier ones.

        The order in which the two are computed does not matter: the policy that acts is a copy.
        """
        n = self.algorithm.episodes_per_iteration
        if not n:
            return [], self.algorithm.update_meanwhile(self._enough)
        first, policy = self.progress.iteration * n, self.algorithm.policy()
        plan = EpisodePlan(self.config.seed, range(first, first + n))
        keys = [plan.key(number, policy.version) for number in plan.numbers]
        missing = [key for key in keys if key not in self._unlearned]
        numbers = [key.number for key in missing]
        running = self.sampler.sample(policy, replace(plan, numbers=numbers)) if missing else []
        try:
            metrics = self.algorithm.update_meanwhile(self._enough)
            new = list(running)
        finally:
            if isinstance(running, Generator):
                running.close()
        if self._replay is not None:
            self._replay.append(new)
        by_key = self._unlearned | dict(zip(missing, new, strict=True))
        return [by_key[key] for key in keys], metrics

    def _learn(self, episodes: list[Episode]) -> Metrics:
        sound, left_out = self._sieve.sift(episodes)
        metrics = self.algorithm.update(sound)
        times = [episode.time for episode in episodes]
        self.progress = replace(
            self.progress,
            iteration=self.progress.iteration + 1,
            experience_s=self.progress.experience_s + sum(t.experience_s for t in times),
            reset_s=self.progress.reset_s + sum(t.reset_s for t in times),
            cooling_s=self.progress.cooling_s + sum(t.cooling_s for t in times),
        )
        sampled = _sampled(sound, left_out) if episodes else {}
        return self.progress.spent() | {"learner": metrics} | sampled

    def evaluate(self, evaluator: Evaluator | None = None) -> Metrics:
        """Evaluate the present policy and count the streaks of good evaluations."""
        evaluator, rate = evaluator or self._evaluator, self.config.success_rate
        policy, iteration = self.algorithm.result(), self.progress.iteration
        evaluation = evaluator.during_training(policy, iteration, rate)
        hours, enough = self.progress.robot_hours, self.config.streak
        good, strict = (evaluator.is_good(evaluation, name, rate) for name in RATES)
        self.progress = replace(
            self.progress,
            evaluation_s=self.progress.evaluation_s + evaluation["robot_s"],
            success=self.progress.success.after(good, hours, enough),
            strict=self.progress.strict.after(strict, hours, enough),
        )
        return evaluation

    def ended(self) -> bool:
        """Return whether the run has reached its end."""
        if self._stop() or self.algorithm.finished:
            return True
        if self.progress.robot_hours >= self.config.max_hours:
            return True
        success, strict = self.progress.success, self.progress.strict
        wanted = {"success": [success], "strict": [success, strict], "hours": []}
        criteria = wanted[self.config.until]
        return bool(criteria) and all(streak.reached is not None for streak in criteria)

    def _write(self, row: Metrics, writer: RunWriter) -> None:
        writer.write(row, self.algorithm, self.progress)
        self._on_row(row)

    def _finish(self, writer: RunWriter) -> Metrics:
        """Choose the policy to hand out, evaluate it, and write the summary."""
        began = time.monotonic()
        reached = self.progress
        last = Finalist(LAST, reached.iteration, self.algorithm.result())
        competing = finalists(last, writer.candidates())
        chosen, evaluation_s = choose(competing, self._evaluator, reached.iteration)
        with self._recording:
            evaluation = summarize(self._evaluator.run(chosen.policy, AFTER_TRAINING))
        evaluation_s += evaluation["robot_s"]
        of_last = evaluation
        if chosen is not last:
            of_last = summarize(self._evaluator.run(last.policy, AFTER_TRAINING))
            evaluation_s += of_last["robot_s"]
        writer.write_best(chosen.iteration, chosen.policy, reached, evaluation)
        rates = [f"{name}{end}" for name in RATES for end in ("", "_low", "_high")]
        figures = [*rates, "interval", "mean_return"]
        summary = {
            "task": self.task.name,
            "algorithm": self.config.algorithm,
            "backend": self.config.backend,
            "seed": self.config.seed,
            "iterations": reached.iteration,
            "policy": BEST,
            **{k: evaluation[k] for k in figures},
            "evaluation_episodes": evaluation["episodes"],
            BEST: {"iteration": chosen.iteration, **evaluation},
            LAST: {"iteration": last.iteration, **of_last},
            "initial": reached.initial,
            "robot_hours": reached.robot_hours,
            "robot_hours_to_success": reached.success.reached,
            "robot_hours_to_strict_success": reached.strict.reached,
            "experience_s": reached.experience_s,
            "reset_s": reached.reset_s,
            "cooling_s": reached.cooling_s,
            "evaluation_s": reached.evaluation_s + evaluation_s,
            "wall_s": reached.wall_s + time.monotonic() - began,
            "run_dir": str(writer.folder.path),
            "commit": commit(),
        }
        writer.folder.write_summary(summary)
        return summary


def _sampled(episodes: list[Episode], left_out: list[str]) -> Metrics:
    """Return the figures of the episodes of an iteration."""
    excluded = {"episodes_left_out": len(left_out)} | ({"left_out": left_out} if left_out else {})
    if not episodes:
        return excluded
    return {
        "mean_return": float(np.mean([e.episode_return for e in episodes])),
        "training_success_rate": float(np.mean([e.success for e in episodes])),
        "reset_attempts": int(sum(e.time.reset_attempts for e in episodes)),
        "episodes_broken_off": int(sum(e.time.breaks for e in episodes)),
        **_interventions(episodes),
        **_drawn(episodes),
        **excluded,
    } | _temperatures(episodes)


def _interventions(episodes: list[Episode]) -> Metrics:
    """Return the fraction of steps with an intervener's action; nothing without an intervener."""
    steps = [e.interventions for e in episodes if len(e.interventions)]
    return {"intervention_rate": float(np.concatenate(steps).mean())} if steps else {}


def _drawn(episodes: list[Episode]) -> Metrics:
    """Return the values that were drawn for each episode's world, by name of the quantity."""
    names = episodes[0].drawn
    return {"drawn": {n: [e.drawn.get(n) for e in episodes] for n in names}} if names else {}


def _temperatures(episodes: list[Episode]) -> Metrics:
    """Return the highest temperature of each joint, if all are known; degrees Celsius."""
    highest = np.max([e.temperatures for e in episodes], axis=0)
    return {"temperatures": highest.tolist()} if np.isfinite(highest).all() else {}
