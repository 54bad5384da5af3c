"""The training loop: sample, learn, evaluate, write. It knows neither ROS nor MuJoCo.

A run keeps two policies. The *last* is the one that training ended with and goes on from. The
*best* is handed out: policies with good evaluations and the last one compete on episodes that none
of them was chosen by, and the winner is then judged on others again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policy import GaussianPolicy
from handlab_core.errors import BadRun
from handlab_core.system.files import writing
from handlab_core.system.validation import Index, NotNegative, build, checked
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs import checkpoint
from handlab_learning.runs.checkpoint import BEST, LAST
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import (
    AFTER_TRAINING,
    BETWEEN_POLICIES,
    DURING_TRAINING,
    RATES,
    judge,
)
from handlab_learning.runs.sampler import Sampler
from handlab_learning.runs.soundness import Sieve

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
    initial: dict[str, Any] | None = None
    """The evaluation before the first update; None in runs that began without one."""
    success: Streak = Streak()
    strict: Streak = Streak()

    @property
    def robot_hours(self) -> float:
        """Experience, resets and cooling of all training episodes."""
        return (self.experience_s + self.reset_s + self.cooling_s) / 3600.0


@dataclass(frozen=True)
class Finalist:
    """A policy that may be handed out."""

    name: str  # best or last; the candidates are rivals for best
    iteration: int
    policy: GaussianPolicy


class Trainer:
    """One run; its folder is locked until `run` has ended.

    Args:
        folder: of the run; its config.yaml says what to do.
        sampler: where episodes come from.
        resume: go on from the newest checkpoint.
        demonstrations: to learn from, if the algorithm does.
        on_row: called with each row of metrics.
        first_sampler: for the evaluation before the first update; None: `sampler`. Worlds of its
            own leave those that are learned from as they were; one robot has but one.
        recording: context of the final evaluation.
        stop: asked between iterations; True ends the run as it is.

    Raises:
        RunInUse: another process writes into the folder.
        BadRun: the folder or its newest checkpoint is missing, damaged or not plausible; nothing in
            the folder is changed then.
    """

    def __init__(
        self,
        folder: RunFolder,
        sampler: Sampler,
        resume: bool = False,
        on_row: Callable[[Row], None] = lambda row: None,
        *,
        demonstrations: Sequence[Episode] = (),
        first_sampler: Sampler | None = None,
        recording: AbstractContextManager[Any] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.sampler = folder, sampler
        self._first_sampler = first_sampler or sampler
        self._on_row, self._stop = on_row, stop
        self._recording = recording or nullcontext()
        with ExitStack() as leave:
            leave.enter_context(folder.locked())
            self.config: RunConfig = folder.config()
            self.task = self.config.make_task()
            settings, seed = self.config.algorithm_config(), self.config.seed
            self.algorithm = make_algorithm(
                self.config.algorithm, self.task.spaces, settings, seed, demonstrations
            )
            self.progress = Progress()
            self._sieve = Sieve(self.task.reward_terms)
            self._begun = resume and not folder.is_new()
            if self._begun:
                self._resume()
            elif resume:
                folder.forget_beginning()
            self._leave = leave.pop_all()

    def run(self) -> Row:
        """Train to the end and return the summary, which is also written.

        Raises:
            CannotWrite: the disk, the folder or the user's rights do not allow it; the run can be
                resumed.
        """
        with self._leave:
            with _tensorboard(self.folder.path, self.progress.iteration) as writer:
                if not self._begun:
                    self._write(self._evaluate_first(), writer)
                while not self._ended():
                    self._write(self._iterate(), writer)
            return self._finish()

    def _evaluate_first(self) -> Row:
        """Judge the policy before the first update; a cloned one may already be good enough."""
        began = time.monotonic()
        verdict = self._evaluate(self._first_sampler)
        wall_s = time.monotonic() - began
        self.progress = replace(self.progress, wall_s=wall_s, initial=verdict)
        return self._spent() | {"learner": {}, "evaluation": verdict, "wall_s": wall_s}

    def _iterate(self) -> Row:
        began = time.monotonic()
        n = self.algorithm.episodes_per_iteration
        first = self.progress.iteration * n
        episodes: list[Episode] = []
        if n:
            plan = EpisodePlan(self.config.seed, range(first, first + n))
            episodes += self.sampler.sample(self.algorithm.policy(), plan)
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
        sound, left_out = self._sieve.sift(episodes)
        metrics = self.algorithm.update(sound)
        self.progress = replace(
            self.progress,
            iteration=self.progress.iteration + 1,
            experience_s=self.progress.experience_s + sum(e.time.experience_s for e in episodes),
            reset_s=self.progress.reset_s + sum(e.time.reset_s for e in episodes),
            cooling_s=self.progress.cooling_s + sum(e.time.cooling_s for e in episodes),
        )
        sampled = _sampled(sound, left_out) if sound else {}
        return self._spent() | {"learner": metrics} | sampled

    def _spent(self) -> Row:
        """Iterations so far and the robot time of their episodes."""
        return {
            "iteration": self.progress.iteration,
            "robot_hours": self.progress.robot_hours,
            "experience_s": self.progress.experience_s,
            "reset_s": self.progress.reset_s,
            "cooling_s": self.progress.cooling_s,
        }

    def _evaluate(self, sampler: Sampler | None = None) -> Row:
        """Judge the present policy and count the streaks."""
        first = DURING_TRAINING + self.progress.iteration * self.config.evaluation_episodes
        count, rate = self.config.evaluation_episodes, self.config.success_rate
        spare = int(count * (1.0 - rate) + 1e-9)  # so many may fail in a good evaluation
        verdict = judge(self._evaluation_episodes(self.algorithm.policy(), first, spare, sampler))
        whole = verdict["episodes"] == count
        hours, enough = self.progress.robot_hours, self.config.streak
        good = whole and verdict["success_rate"] >= rate
        strict = whole and verdict["strict_success_rate"] >= rate
        self.progress = replace(
            self.progress,
            evaluation_s=self.progress.evaluation_s + verdict["robot_s"],
            success=self.progress.success.after(good, hours, enough),
            strict=self.progress.strict.after(strict, hours, enough),
        )
        return verdict

    def _evaluation_episodes(
        self,
        policy: GaussianPolicy,
        first: int,
        spare: int | None = None,
        sampler: Sampler | None = None,
    ) -> list[Episode]:
        """Run evaluation episodes, at most until more have failed than `spare`.

        A policy that knows nothing fails at once; there is no need to watch it thirty times.

        Args:
            policy: acts without noise.
            first: number of the first episode.
            spare: failures after which the rest is left out; None: all episodes are run.
            sampler: where they come from; None: where those that are learned from do.
        """
        sampler = sampler or self.sampler
        count = self.config.evaluation_episodes
        episodes: list[Episode] = []
        batch = count if spare is None else spare + 1
        while len(episodes) < count:
            begin = first + len(episodes)
            numbers = range(begin, min(begin + batch, first + count))
            plan = EpisodePlan(self.config.seed, numbers, deterministic=True)
            episodes += sampler.sample(policy, plan)
            if spare is not None and _failures(episodes) > spare:
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
        """Write candidate, row and checkpoint, in this order.

        Whatever of them a crash leaves out, `--resume` goes on from the newest checkpoint and makes
        the rest again. The checkpoint carries the row, in case the row alone is lost.
        """
        if "evaluation" in row:
            row["best_iteration"] = self._keep_candidate(row["evaluation"])
        self.folder.append(row)
        checkpoint.save(
            self.folder.checkpoints,
            self.progress.iteration,
            self.task,
            self.algorithm.policy(),
            self.algorithm.state_dict(),
            asdict(self.progress),
            {"row": row},
        )
        checkpoint.keep_newest(self.folder.checkpoints)
        with writing(self.folder.path):
            for name, value in _flat(row):
                writer.add_scalar(name, value, row["iteration"])
        self._on_row(row)

    def _keep_candidate(self, verdict: Row) -> int:
        """Keep the present policy if few have a better evaluation; return the best's iteration."""
        self._save_policy(
            self.folder.candidates,
            self.progress.iteration,
            self.algorithm.policy(),
            verdict,
        )
        checkpoint.keep_best(self.folder.candidates)
        best: int = checkpoint.candidates(self.folder.candidates)[0].manifest["iteration"]
        return best

    def _save_policy(
        self, folder: Path, iteration: int, policy: GaussianPolicy, verdict: Row
    ) -> None:
        """Write a policy to act with; nothing is learned on from it."""
        progress = asdict(self.progress)
        judged = {"evaluation": verdict}
        checkpoint.save(folder, iteration, self.task, policy, {}, progress, judged)

    def _finish(self) -> Row:
        """Choose the policy to hand out, judge it, and write the summary."""
        began = time.monotonic()
        reached = self.progress
        last = Finalist(LAST, reached.iteration, self.algorithm.policy())
        chosen, evaluation_s = self._choose([*self._rivals(last), last])
        with self._recording:
            verdict = judge(self._evaluation_episodes(chosen.policy, AFTER_TRAINING))
        evaluation_s += verdict["robot_s"]
        of_last = verdict
        if chosen is not last:
            of_last = judge(self._evaluation_episodes(last.policy, AFTER_TRAINING))
            evaluation_s += of_last["robot_s"]
        self._hand_out(chosen, verdict)
        rates = [f"{name}{end}" for name in RATES for end in ("", "_low", "_high")]
        figures = [*rates, "interval", "mean_return"]
        summary = {
            "task": self.task.name,
            "algorithm": self.config.algorithm,
            "backend": self.config.backend,
            "seed": self.config.seed,
            "iterations": reached.iteration,
            "policy": BEST,
            **{k: verdict[k] for k in figures},
            "evaluation_episodes": verdict["episodes"],
            BEST: {"iteration": chosen.iteration, **verdict},
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
            "run_dir": str(self.folder.path),
        }
        self.folder.write_summary(summary)
        return summary

    def _rivals(self, last: Finalist) -> list[Finalist]:
        """Candidates for being handed out besides the last policy, the most promising first."""
        return [
            Finalist(BEST, candidate.manifest["iteration"], candidate.policy(self.task))
            for candidate in checkpoint.candidates(self.folder.candidates)
            if candidate.manifest["iteration"] != last.iteration
        ]

    def _choose(self, finalists: list[Finalist]) -> tuple[Finalist, float]:
        """Let policies compete on the same episodes, which none of them was chosen by.

        A policy that has failed more often than another in all is not run further.

        Returns:
            The policy with the most successes, then strict successes, then the higher return; the
            newer one where all are equal. And the robot time [s] of it all.
        """
        if len(finalists) == 1:
            return finalists[0], 0.0
        first = BETWEEN_POLICIES + self.progress.iteration * self.config.evaluation_episodes
        fewest, robot_s = self.config.evaluation_episodes, 0.0
        scores = []
        for finalist in finalists:
            episodes = self._evaluation_episodes(finalist.policy, first, fewest)
            fewest = min(fewest, _failures(episodes))
            verdict = judge(episodes)
            robot_s += verdict["robot_s"]
            scores.append((*(verdict[name] for name in RATES), verdict["mean_return"]))
        best = max(range(len(finalists)), key=lambda i: (*scores[i], finalists[i].iteration))
        return finalists[best], robot_s

    def _hand_out(self, chosen: Finalist, verdict: Row) -> None:
        self._save_policy(self.folder.best, chosen.iteration, chosen.policy, verdict)
        for manifest in checkpoint.manifests(self.folder.best):
            if checkpoint.load(manifest).manifest["iteration"] != chosen.iteration:
                checkpoint.remove(manifest)

    def _resume(self) -> None:
        """Go on from the newest checkpoint; nothing is changed before that proves whole."""
        newest = self.folder.newest_checkpoint()
        where = f"progress in {newest.manifest_path}"
        progress = build(Progress, newest.manifest["progress"], where, BadRun)
        if progress.iteration != newest.manifest["iteration"]:
            raise BadRun(f"{where} is of iteration {progress.iteration}; the checkpoint is not")
        if newest.manifest_path.stem != f"{progress.iteration:06d}":
            raise BadRun(f"{where} is of iteration {progress.iteration}; the file's name is not")
        state = newest.state()
        checkpoint.check_state(state, self.algorithm.state_dict(), newest.tensors_path)
        try:
            self.algorithm.load_state_dict(state)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise BadRun(f"{newest.tensors_path} cannot be gone on from: {error}") from None
        self.folder.cut(newest)
        self.folder.forget_candidates(after=progress.iteration)
        self.progress = progress


@contextmanager
def _tensorboard(folder: Path, iteration: int) -> Iterator[SummaryWriter]:
    """Write TensorBoard events from an iteration on."""
    with writing(folder):
        writer = SummaryWriter(str(folder), purge_step=iteration)
    try:
        yield writer
    except BaseException:
        with suppress(OSError):  # the error that ended the run says more
            writer.close()
        raise
    with writing(folder):
        writer.close()


def _failures(episodes: Sequence[Episode]) -> int:
    return sum(not e.success for e in episodes)


def _flat(row: Row, prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of a nested row, with names joined by slashes."""
    pairs = []
    for name, value in row.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            pairs.append((f"{prefix}{name}", float(value)))
    return pairs


def _sampled(episodes: list[Episode], left_out: list[str]) -> Row:
    """What there is to say of the episodes of an iteration."""
    return {
        "mean_return": float(np.mean([e.episode_return for e in episodes])),
        "training_success_rate": float(np.mean([e.success for e in episodes])),
        "reset_attempts": int(sum(e.time.reset_attempts for e in episodes)),
        "episodes_left_out": len(left_out),
        **({"left_out": left_out} if left_out else {}),
    } | _temperatures(episodes)


def _temperatures(episodes: list[Episode]) -> Row:
    """The highest of each joint, if they are known; degrees Celsius."""
    highest = np.max([e.temperatures for e in episodes], axis=0)
    return {"temperatures": highest.tolist()} if np.isfinite(highest).all() else {}
