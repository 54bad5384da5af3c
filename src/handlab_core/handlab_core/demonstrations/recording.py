"""Recordings of demonstrations, and their conversion to episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from handlab_core.demonstrations.action_inference import (
    DEFAULT_INFERENCE,
    INFERENCES,
    Travel,
)
from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.errors import BadDemonstrations
from handlab_core.hands import Hand
from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import (
    NS_PER_S,
    SAME_TIME,
    Array,
    BoolArray,
    Goal,
    IntArray,
    JointState,
    ObjectEstimate,
)

TEACHER = -1
"""Policy version of demonstrations, in which no policy acted."""

LEAST_STEPS = 5
"""Smallest number of steps of an episode; a shorter one has no last fifth."""

LONGEST = 600.0
"""s; longest demonstration, twenty times the limit of a recording."""

LARGEST = 1e4
"""rad, rad/s, N m or s; largest plausible value of measurements and goals; others are damaged."""

BEYOND = np.pi
"""rad; largest plausible distance of a joint from its commanded range. A guided joint may leave the
range, but not by half a turn."""

MEASURED = {
    "q": "position",
    "qd": "velocity",
    "effort": "effort",
    "angle": "angle",
    "velocity": "velocity",
}
"""Fields of measured values, and their names in messages."""


@dataclass(frozen=True)
class Motion:
    """Recorded streams of one robot, one row per message, from begin to end."""

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
        """Return the motion from begin to end."""
        hand, obj = (self._during(stream.stamp) for stream in (self.hand, self.object))
        return replace(self, hand=batch.take(self.hand, hand), object=batch.take(self.object, obj))

    def readings(self, stamps: Array, name: str) -> IntArray:
        """Return the rows of a whole stream, by its stamps [s], from begin to end.

        Raises:
            BadDemonstrations: time goes back between them: rows of two times are mixed.
        """
        at = self._during(stamps)
        between = stamps[at[0] : at[-1] + 1] if len(at) else stamps[:0]
        back = np.flatnonzero(np.diff(between) < 0)
        if len(back):
            before, after = between[back[0]], between[back[0] + 1]
            raise BadDemonstrations(
                f"the time of the {name} goes back during it, from {before:.3f} s to {after:.3f} s"
            )
        return at

    def _during(self, stamps: Array) -> IntArray:
        during: IntArray = np.flatnonzero((self.began <= stamps) & (stamps <= self.ended))
        return during


def check_motion(motion: Motion, hand: Hand) -> None:
    """Reject a motion with implausible values.

    Raises:
        BadDemonstrations: names the number, its joint and its time.
    """
    if not 0.0 <= motion.ended - motion.began <= LONGEST:
        raise BadDemonstrations(
            f"it ends {motion.ended - motion.began:.2f} s after it begins; "
            f"up to {LONGEST:.0f} s are allowed"
        )
    if motion.episode < 0:
        raise BadDemonstrations("its number is negative")
    check_numbers("goal", motion.goal)
    moving = motion.goal.at(np.array([motion.began, motion.ended]))
    if motion.goal.angle.shape != motion.goal.velocity.shape or not _sane(moving).all():
        raise BadDemonstrations(
            f"its goal has {motion.goal.angle.size} angles and {motion.goal.velocity.size} "
            f"velocities, from {motion.goal.stamp[0]:.2f} s on: it does not fit"
        )
    if not 0.0 <= motion.reset_s <= LARGEST:
        raise BadDemonstrations(f"the reset before it took {motion.reset_s:g} s")
    check_numbers("hand", motion.hand, hand.joints)
    check_numbers("object", motion.object)
    far = (motion.hand.q < hand.lower - BEYOND) | (motion.hand.q > hand.upper + BEYOND)
    if far.any():
        row, joint = np.argwhere(far)[0]
        raise BadDemonstrations(
            f"{hand.joints[joint]} is at {motion.hand.q[row, joint]:.2f} rad at "
            f"{motion.hand.stamp[row]:.2f} s, far from its range of {hand.lower[joint]:.2f} to "
            f"{hand.upper[joint]:.2f} rad"
        )


def check_numbers(
    name: str, stream: JointState | ObjectEstimate | Goal, joints: Sequence[str] = ()
) -> None:
    """Reject a stream with a value that is not finite or beyond LARGEST.

    Args:
        name: name of the stream.
        stream: one row for each reading.
        joints: names of its columns; empty: it has only one.

    Raises:
        BadDemonstrations: names the number, its joint and its time.
    """
    for field in fields(stream):
        values = getattr(stream, field.name)
        bad = ~_sane(values) if field.name in MEASURED else np.zeros(0, dtype=bool)
        if bad.any():
            row, *column = (int(i) for i in np.argwhere(bad)[0])
            what = joints[column[0]] if joints and column else name
            raise BadDemonstrations(
                f"the {MEASURED[field.name]} of {what} is {values[(row, *column)]:g} at "
                f"{stream.stamp[row]:.2f} s"
            )


def _sane(values: Array) -> BoolArray:
    sane: BoolArray = np.abs(values) <= LARGEST  # False for NaN
    return sane


def to_episode(motion: Motion, task: Task, inference: str = DEFAULT_INFERENCE) -> Episode:
    """Convert a recorded motion to an episode.

    States are sampled once per control period. Actions are those that would have moved the engaged
    hand in the same way, clipped to [-1, 1]; see
    `handlab_core.demonstrations.action_inference`.

    Raises:
        BadDemonstrations: the motion is too short, its goal has another size, a value is
            implausible, or a stream was silent; the message names the part and its time.
    """
    check_motion(motion, task.hand)
    angles = np.atleast_1d(task.goal_angle.lower).size
    if motion.goal.angle.shape != (1, angles):
        raise BadDemonstrations(
            f"demonstration {motion.episode} has a goal of {motion.goal.angle.size} angles; "
            f"{task.name} has {angles}"
        )
    stamps = control_stamps(motion, task)
    patience = task.period / 2
    hand = batch.take(motion.hand, _nearest(motion.hand.stamp, stamps, patience, "hand"))
    obj = batch.take(motion.object, _nearest(motion.object.stamp, stamps, patience, "object"))
    steps = len(stamps) - 1
    travel = Travel(hand.q, obj.angle, task.period)
    targets = INFERENCES[inference](task.hand, task.fixture, travel)
    actions = np.clip(task.hand.normalise(targets), -1.0, 1.0)
    goal = batch.take(motion.goal, np.zeros(steps + 1, dtype=np.int64))
    before = np.concatenate((np.zeros((1, task.hand.n)), actions))
    after = np.arange(1, steps + 1)
    seen, there = batch.take(hand, after), batch.take(obj, after)
    reward = task.reward_computer().compute(seen, there, batch.take(goal, after))
    trajectory = Trajectory(
        observations=task.observe(task.hand, hand, obj, goal, before),
        actions=actions,
        rewards=reward.total,
        reward_terms=reward.terms,
        errors=reward.error,
        goal_angle=motion.goal.angle[0].copy(),
    )
    key = EpisodeKey(motion.episode, motion.seed, TEACHER, deterministic=False)
    time = RobotTime(
        steps * task.period, reset_s=motion.reset_s, reset_attempts=motion.reset_attempts
    )
    outcome = Outcome(*task.succeeded(reward.error))
    return Episode(key, trajectory, outcome, time, unknown_temperatures(task.hand.n))


def control_stamps(motion: Motion, task: Task) -> Array:
    """Return the times from begin to end, one control period apart, (T + 1,) s."""
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
    """Return the row of the reading nearest to each time, within the patience [s]."""
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
