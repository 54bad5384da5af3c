"""What was recorded of one demonstration, and the episode that it shows."""

from dataclasses import dataclass, replace

import numpy as np

from handlab_core import rows
from handlab_core.demos.inference import INFERENCES, Travel
from handlab_core.episode import Episode
from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.tasks import Task
from handlab_core.types import (
    NS_PER_S,
    SAME_TIME,
    Array,
    Goal,
    IntArray,
    JointState,
    ObjectEstimate,
)

TEACHER = -1
"""Version of the policy that acted: none."""

LEAST_STEPS = 5
"""Of an episode; fewer have no last fifth."""

DEFAULT_INFERENCE = "loaded_servo"


@dataclass(frozen=True)
class Motion:
    """Streams of one robot as they passed, one row a message, and when the episode was."""

    hand: JointState
    object: ObjectEstimate
    goal: Goal  # one row
    began: float  # s
    ended: float  # s
    episode: int
    seed: int
    reset_s: float
    reset_attempts: int

    def within(self) -> "Motion":
        """The same without what was recorded before it began and after it ended."""
        hand, obj = (
            np.flatnonzero((self.began <= stamps) & (stamps <= self.ended))
            for stamps in (self.hand.stamp, self.object.stamp)
        )
        return replace(self, hand=rows.take(self.hand, hand), object=rows.take(self.object, obj))


def to_episode(motion: Motion, task: Task, inference: str = DEFAULT_INFERENCE) -> Episode:
    """The episode that a recorded motion shows: what a policy would have seen, done and got.

    States are taken one control period apart; actions are those whose targets would have moved the
    engaged hand so (`handlab_core.demos.inference`), as far as the task's actions reach.

    Raises:
        BadDemonstrations: it is too short, or a stream was silent; says which and when.
    """
    stamps = control_stamps(motion, task)
    patience = task.period / 2
    hand = rows.take(motion.hand, _nearest(motion.hand.stamp, stamps, patience, "hand"))
    obj = rows.take(motion.object, _nearest(motion.object.stamp, stamps, patience, "object"))
    steps = len(stamps) - 1
    travel = Travel(hand.q, obj.angle, task.period)
    targets = INFERENCES[inference](task.hand, task.fixture, travel)
    actions = np.clip(task.hand.normalise(targets), -1.0, 1.0)
    goal = rows.take(motion.goal, np.zeros(steps + 1, dtype=np.int64))
    before = np.concatenate((np.zeros((1, task.hand.n)), actions))
    after = np.arange(1, steps + 1)
    seen, there = rows.take(hand, after), rows.take(obj, after)
    reward = task.reward_computer().compute(seen, there, rows.take(goal, after))
    success, strict = task.succeeded(reward.error)
    return Episode(
        episode=motion.episode,
        policy_version=TEACHER,
        seed=motion.seed,
        deterministic=False,
        observations=task.observe(task.hand, hand, obj, goal, before),
        actions=actions,
        rewards=reward.total,
        reward_terms=reward.terms,
        errors=reward.error,
        terminated=False,
        success=success,
        strict_success=strict,
        goal_angle=motion.goal.angle[0].copy(),
        experience_s=steps * task.period,
        reset_s=motion.reset_s,
        cooling_s=0.0,
        reset_attempts=motion.reset_attempts,
        temperatures=np.full(task.hand.n, np.nan),
    )


def control_stamps(motion: Motion, task: Task) -> Array:
    """Times from begin to end, one control period apart, (T + 1,) s."""
    period = round(task.period * NS_PER_S)
    began, ended = round(motion.began * NS_PER_S), round(motion.ended * NS_PER_S)
    steps = (ended - began + round(SAME_TIME * NS_PER_S)) // period
    if steps < LEAST_STEPS:
        raise BadDemonstrations(
            f"demonstration {motion.episode} took {motion.ended - motion.began:.2f} s; an episode "
            f"needs {LEAST_STEPS} control periods of {task.period} s at least"
        )
    return (began + period * np.arange(steps + 1)) / NS_PER_S


def _nearest(stamps: Array, times: Array, patience: float, name: str) -> IntArray:
    """Rows of the reading nearest to each time, which must be within the patience [s]."""
    if len(stamps) == 0:
        raise BadDemonstrations(f"nothing was recorded of the {name}")
    after = np.clip(np.searchsorted(stamps, times), 1, max(1, len(stamps) - 1))
    before = after - 1
    after = np.minimum(after, len(stamps) - 1)
    nearer = times - stamps[before] <= stamps[after] - times
    at: IntArray = np.where(nearer, before, after)
    gap = np.abs(times - stamps[at])
    if gap.max() > patience:
        when = times[gap.argmax()]
        raise BadDemonstrations(f"the {name} was silent for {gap.max():.2f} s at {when:.2f} s")
    return at


def check_inference(name: str) -> str:
    """The name, if there is such an inference; else raises BadConfig."""
    if name not in INFERENCES:
        raise BadConfig(f"inference is {name!r}; it can be {', '.join(sorted(INFERENCES))}")
    return name
