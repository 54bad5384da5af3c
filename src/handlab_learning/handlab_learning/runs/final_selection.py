"""Choose the policy that a run hands out.

The policies with the best evaluations and the last policy compete on the same episodes, by which
none of them was chosen. The winner is evaluated on other episodes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from handlab_core.environment.policies.policy import Policy
from handlab_learning.runs.checkpoint import BEST
from handlab_learning.runs.evaluation import BETWEEN_POLICIES, RATES, Evaluator, failures, summarize


@dataclass(frozen=True)
class Finalist:
    """A policy that may be handed out."""

    name: str  # best or last; the candidates compete for best
    iteration: int
    policy: Policy


def finalists(last: Finalist, candidates: Sequence[tuple[int, Policy]]) -> list[Finalist]:
    """Return the candidates, best evaluation first, and the last policy."""
    others = [Finalist(BEST, number, policy) for number, policy in candidates]
    return [other for other in others if other.iteration != last.iteration] + [last]


def choose(
    competing: Sequence[Finalist], evaluator: Evaluator, iteration: int
) -> tuple[Finalist, float]:
    """Run policies on the same episodes and return the best.

    A policy is not run further once it has more failures than another policy in all.

    Args:
        competing: at least one policy.
        evaluator: runs the episodes.
        iteration: number of iterations done, which determines the episodes.

    Returns:
        The policy with the most successes, then strict successes, then the higher return; the newer
        one where all are equal. And the robot time of all episodes; s.
    """
    if len(competing) == 1:
        return competing[0], 0.0
    first = BETWEEN_POLICIES + iteration * evaluator.count
    fewest, robot_s = evaluator.count, 0.0
    scores = []
    for finalist in competing:
        episodes = evaluator.run(finalist.policy, first, fewest)
        fewest = min(fewest, failures(episodes))
        evaluation = summarize(episodes)
        robot_s += evaluation["robot_s"]
        scores.append((*(evaluation[name] for name in RATES), evaluation["mean_return"]))
    best = max(range(len(competing)), key=lambda i: (*scores[i], competing[i].iteration))
    return competing[best], robot_s
