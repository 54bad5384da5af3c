"""Write a training run into its folder, and read back the state to resume from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from handlab_core.environment.episode import Episode, EpisodeKey
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadRun
from handlab_core.system.files import writing
from handlab_core.system.validation import build
from handlab_core.tasks.learnable import LearnableTask
from handlab_learning.algorithms.algorithm import Algorithm
from handlab_learning.runs import checkpoint
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.progress import Progress
from handlab_learning.runs.soundness import defect

Metrics = dict[str, Any]
"""One row of metrics, or a part of one."""


log = logging.getLogger(__name__)


class RunWriter:
    """Writes rows, checkpoints, candidates and the best policy of one run.

    Args:
        folder: locked by this process.
        task: the task that is learned.
    """

    def __init__(self, folder: RunFolder, task: LearnableTask) -> None:
        self.folder, self._task = folder, task
        self._events: SummaryWriter | None = None
        self.unlearned: dict[EpisodeKey, Episode] = {}
        """Episodes of the log that the resumed run has not learned from yet."""

    @contextmanager
    def events(self, iteration: int) -> Iterator[None]:
        """Write TensorBoard events within the context, from an iteration on."""
        with writing(self.folder.path):
            self._events = SummaryWriter(str(self.folder.path), purge_step=iteration)
        try:
            yield
        except BaseException:
            with suppress(OSError):  # the error that ended the run says more
                self._events.close()
            raise
        with writing(self.folder.path):
            self._events.close()

    def write(self, row: Metrics, algorithm: Algorithm, progress: Progress) -> None:
        """Write candidate, row and checkpoint, in this order.

        After a crash between these writes, a resumed run continues from the newest checkpoint and
        repeats the rest. The checkpoint contains the row, in case only the row is lost.
        """
        if "evaluation" in row:
            row["best_iteration"] = self._keep_candidate(algorithm, progress, row["evaluation"])
        self.folder.append(row)
        checkpoint.save(
            self.folder.checkpoints,
            progress.iteration,
            self._task,
            algorithm.result(),
            algorithm.state_dict(),
            asdict(progress),
            {"row": row},
        )
        checkpoint.keep_newest(self.folder.checkpoints)
        if self._events is not None:
            with writing(self.folder.path):
                for name, value in _flat(row):
                    self._events.add_scalar(name, value, row["iteration"])

    def _keep_candidate(self, algorithm: Algorithm, progress: Progress, evaluation: Metrics) -> int:
        """Keep the policy if few have a better evaluation; return the best one's iteration."""
        candidates = self.folder.candidates
        self._save(candidates, progress.iteration, algorithm.result(), progress, evaluation)
        best: int = checkpoint.keep_best(candidates)[0].manifest["iteration"]
        return best

    def _save(
        self,
        folder: Path,
        iteration: int,
        policy: Policy,
        progress: Progress,
        evaluation: Metrics,
    ) -> None:
        """Write a policy without the state that learning needs."""
        more = {"evaluation": evaluation}
        checkpoint.save(folder, iteration, self._task, policy, {}, asdict(progress), more)

    def candidates(self) -> list[tuple[int, Policy]]:
        """Return iteration and policy of the candidates, best evaluation first."""
        return [
            (candidate.manifest["iteration"], candidate.policy(self._task))
            for candidate in checkpoint.candidates(self.folder.candidates)
        ]

    def write_best(
        self, iteration: int, policy: Policy, progress: Progress, evaluation: Metrics
    ) -> None:
        """Replace the best policy of the run."""
        self._save(self.folder.best, iteration, policy, progress, evaluation)
        for manifest in checkpoint.manifests(self.folder.best):
            if checkpoint.load(manifest).manifest["iteration"] != iteration:
                checkpoint.remove(manifest)

    def begin(self, algorithm: Algorithm, resume: bool) -> Progress | None:
        """Restore the algorithm's state, and remove what the run will write again.

        Returns:
            The state to resume from; None: the run begins.

        Raises:
            BadRun: the folder or its newest checkpoint is missing, damaged or not plausible;
                nothing in the folder is changed then.
        """
        if not resume:
            self.folder.replay.clear()
            return None
        if self.folder.is_new():
            self.folder.forget_beginning()
            self._recall(algorithm, 0)
            return None
        newest = self.folder.newest_checkpoint()
        where = f"progress in {newest.manifest_path}"
        progress = build(Progress, newest.manifest["progress"], where, BadRun)
        if progress.iteration != newest.manifest["iteration"]:
            raise BadRun(f"{where} is of iteration {progress.iteration}; the checkpoint is not")
        if newest.manifest_path.stem != f"{progress.iteration:06d}":
            raise BadRun(f"{where} is of iteration {progress.iteration}; the file's name is not")
        state = newest.state()
        checkpoint.check_state(state, algorithm.state_dict(), newest.tensors_path)
        try:
            algorithm.load_state_dict(state)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise BadRun(f"{newest.tensors_path} is no state to resume from: {error}") from None
        self._recall(algorithm, progress.iteration)
        self.folder.cut(newest)
        self.folder.forget_candidates(after=progress.iteration)
        return progress

    def _recall(self, algorithm: Algorithm, iterations: int) -> None:
        """Give the logged episodes of the iterations that are done back to the algorithm.

        Raises:
            BadRun: the log lacks all of them.
        """
        if not algorithm.remembers:
            return
        logged = {episode.number: episode for episode in self.folder.replay.read()}
        done = iterations * algorithm.episodes_per_iteration
        learned = [logged.pop(number) for number in range(done) if number in logged]
        if done and not learned:
            raise BadRun(
                f"{self.folder.replay.path} has none of the {done} episodes of the run; restore "
                "the file, or begin a new run"
            )
        if len(learned) < done:
            log.warning(
                "%d of %d episodes are missing in %s; learning goes on with the others",
                done - len(learned), done, self.folder.replay.path,
            )  # fmt: skip
        algorithm.recall([episode for episode in learned if not defect(episode)])
        self.unlearned = {episode.key: episode for episode in logged.values()}


def _flat(row: Metrics, prefix: str = "") -> list[tuple[str, float]]:
    """Return the numbers of a nested row, with names joined by slashes."""
    pairs = []
    for name, value in row.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            pairs.append((f"{prefix}{name}", float(value)))
    return pairs
