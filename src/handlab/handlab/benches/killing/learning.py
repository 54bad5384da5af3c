"""Kill the processes of a run that learns from all its episodes at random moments."""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from handlab.benches.killing.cells import learn_more, resuming, unevaluated_run
from handlab.benches.killing.processes import (
    SUPERVISOR,
    Case,
    running,
    strike,
    until_gone,
)
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import HandlabError
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

PART = "learning"
LEARNERS = ("learner", "runner", SUPERVISOR)
"""Processes that are killed."""

OFF_POLICY = {
    "hidden": [16], "batch": 32, "update_ratio": 0.5, "first_episodes": 1, "own_demonstrations": 0,
}  # fmt: skip

LONGEST_MOMENT = 0.3
"""Seconds; a kill comes at a uniformly drawn time after the second new iteration. An iteration
takes about as long."""


def strike_learning(seed: int, number: int) -> list[Case]:
    """Kill learner, runner and supervisor of one off-policy run at random moments.

    Args:
        seed: seed of the order of the victims and of the moments.
        number: number of the run, which has its own order and moments.
    """
    rng = np.random.default_rng((seed, number))
    victims = rng.permutation(LEARNERS).tolist()
    cases = [Case(PART, "train --algorithm rlpd", victim, "SIGKILL") for victim in victims]
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        root = Path(scratch)
        folder = unevaluated_run(root / "killed", algorithm="rlpd", settings=OFF_POLICY)
        for case in cases:
            _continue(folder, root, case, float(rng.uniform(0.0, LONGEST_MOMENT)))
            print(f"run {number}: {case.name}", file=sys.stderr, flush=True)
        _continue(folder, root, Case(PART, "", SUPERVISOR, "SIGTERM"), 0.0)
        cases[-1].wrong += _differences(folder)
    return cases


def _continue(folder: RunFolder, root: Path, case: Case, moment: float) -> None:
    """Resume a run until it has two more iterations, and strike a process some time later [s]."""
    with running(resuming(folder), root) as run:
        try:
            learn_more(run, folder)
            time.sleep(moment)
            struck, processes = run.await_ready(case.victim), run.tree()
        except HandlabError as error:
            case.wrong.append(str(error))
            return
        began = time.monotonic()
        strike(struck, case.signal)
        case.gone_s = until_gone(processes, began, case)


class Logged:
    """Implements `Sampler` with the episodes of a log."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = {episode.key: episode for episode in episodes}

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`; KeyError if the log lacks an episode of this policy."""
        yield from (self._episodes[plan.key(n, policy.version)] for n in plan.numbers)


def _differences(folder: RunFolder) -> list[str]:
    """Return what a run has lost, has twice, or learned otherwise than from its episodes."""
    wrong, episodes = [], folder.replay.read()
    numbers = [row["iteration"] for row in folder.metrics()]
    if numbers != list(range(len(numbers))):
        wrong.append(f"iterations in metrics.jsonl: {numbers}")
    logged = [episode.number for episode in episodes]
    if logged != list(range(len(logged))) or len(logged) < len(numbers) - 1:
        wrong.append(f"episodes in the replay: {logged}, and {len(numbers) - 1} iterations")
    newest = folder.newest_checkpoint()
    learner = Trainer(folder.config(), Logged(episodes))
    try:
        while learner.progress.iteration < newest.manifest["iteration"]:
            learner.iterate()
    except KeyError as missing:
        return [*wrong, f"the replay lacks {missing}"]
    state, again = newest.state(), learner.algorithm.state_dict()
    return wrong + [f"{name} differs" for name in again if not state[name].equal(again[name])]
