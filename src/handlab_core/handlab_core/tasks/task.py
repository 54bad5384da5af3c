"""Tasks: hand, object, start and goal distributions, reward, and criteria of success."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import Hand, make_hand
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.reset.procedure import MOTOR, RESETS, ResetProcedure
from handlab_core.rewards.goal import Aim, ObjectAim
from handlab_core.rewards.observed_reward import RewardOfObservation
from handlab_core.rewards.reward import RewardComputer, Term
from handlab_core.system.registry import Registry
from handlab_core.tasks.criteria import Criterion, LastFifth, MeanOfLastFifth
from handlab_core.tasks.sizes import Fingers, Relabelling, Spaces, StateForm, Symmetry
from handlab_core.types import Array, Goal, JointState, ObjectEstimate

START_STREAM, NOISE_STREAM = 0, 1
"""Numbers of the independent random streams of an episode."""

PER_JOINT = ("joints", "joint_errors", "last_action")
"""Parts of an observation that have one element for each joint of the hand."""

COS_SIN = "object_cos_sin"
"""Beginning of the name of the part of an observation with the orientation of the object."""

OBJECT = ObjectAim()
NEAR = LastFifth(np.deg2rad(20.0))
STRICTLY_NEAR = MeanOfLastFifth(0.1)
"""Criterion with a tolerance of 0.1 rad; robel/dclaw/turn.py @ 5b0fd37."""


def episode_rng(seed: int, episode: int, stream: int) -> np.random.Generator:
    """Return a generator that depends only on seed, episode number and stream."""
    return np.random.default_rng((seed, episode, stream))


@dataclass(frozen=True)
class Start:
    """Start of the object and goal of one episode."""

    object_angle: float  # rad
    goal_angle: tuple[float, ...]  # rad; angles of the goal at the start of the episode
    goal_velocity: tuple[float, ...]  # rad/s


@dataclass(frozen=True)
class Range:
    """Uniform distribution; constant if both ends are equal."""

    lower: float
    upper: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one number."""
        return float(rng.uniform(self.lower, self.upper))


@dataclass(frozen=True)
class PoseRange:
    """Uniform distribution for each joint of a hand."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> tuple[float, ...]:
        """Draw one number for each joint."""
        return tuple(rng.uniform(self.lower, self.upper).tolist())


@dataclass(frozen=True)
class Task:
    """Skill to learn, for one hand and one object."""

    name: str
    description: str
    hand_name: str
    fixture_name: str
    rewards: Mapping[str, tuple[Term, ...]]
    """Reward variants by name."""
    reward: str
    """Name of the reward variant in use."""
    start_angle: Range
    """rad; distribution of the object's start angle."""
    goal_angle: Range | PoseRange
    """rad; distribution of the goal."""
    goal_velocity: Range | PoseRange = Range(0.0, 0.0)
    """rad/s; distribution of the goal's velocity."""
    goal_from_start: bool = False
    """Whether the goal's angle is relative to the start angle of the object."""
    aim: Aim = OBJECT
    """Kind of goal."""
    period: float = 0.1
    """s; control period."""
    steps: int = 60
    """Number of steps of an episode."""
    smoothing: float = 0.0
    """Fraction of the last action in the next action: coefficient of a low-pass filter of the
    actions, as executed and observed."""
    reset: str = MOTOR
    """Name of the reset procedure."""
    symmetric: bool = False
    """Whether every alike finger of the hand has the same view of the object, if there is one."""
    success: Criterion = NEAR
    strict: Criterion = STRICTLY_NEAR
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by algorithm that differ from the algorithm's defaults."""
    randomisation: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By level of randomisation, ranges that differ from those of `handlab_core.worlds.levels`, by
    quantity; an empty one leaves the quantity as it is."""

    kind: ClassVar[str] = "station"
    has_graph: ClassVar[bool] = True
    only_object_varies: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.reward not in self.rewards:
            raise UnknownName(f"reward of {self.name}", self.reward, self.rewards)
        if self.steps < 5 or self.period <= 0:
            raise BadConfig(f"task {self.name}: needs 5 steps at least and a positive period")
        if not 0.0 <= self.smoothing < 1.0:
            raise BadConfig(f"task {self.name}: smoothing {self.smoothing} must be in [0, 1)")

    @cached_property
    def hand(self) -> Hand:
        """Hand of the task; built once, since environments and nodes ask for it in every step."""
        return make_hand(self.hand_name)

    @property
    def fixture(self) -> Fixture:
        """Fixture with the object."""
        return FIXTURES.make(self.fixture_name)

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """Parts of the observation: name and size, in order."""
        n = self.hand.n
        return (("joints", n), *self.aim.layout(n), ("last_action", n))

    @property
    def observation_size(self) -> int:
        """Number of elements of an observation."""
        return sum(size for _, size in self.layout)

    @property
    def thermometers(self) -> tuple[str, ...]:
        """See `LearnableTask.thermometers`."""
        return self.hand.joints

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the terms of the reward in use."""
        return tuple(term.name for term in self.rewards[self.reward])

    @property
    def spaces(self) -> Spaces:
        """Sizes of observation and action, and length of an episode."""
        return Spaces(
            self.observation_size, self.hand.n, self.steps, self._symmetries(), self._fingers(),
            self._state_form(), self._observed_reward(), self._relabelling(),
        )  # fmt: skip

    def _elements(self, *names: str) -> tuple[int, ...]:
        """Return the elements of the observation that belong to parts of these names, in order."""
        parts = [name for name, size in self.layout for _ in range(size)]
        return tuple(i for i, name in enumerate(parts) if name in names)

    def _state_form(self) -> StateForm:
        """Return the observation without doubles of the error, and velocities of what moves."""
        double = {"fine_error"} | {name for name, _ in self.layout if name.startswith(COS_SIN)}
        names = {name for name, _ in self.layout} - double
        return StateForm(self._elements(*names), self._elements("joints", "error"))

    def _observed_reward(self) -> RewardOfObservation:
        """Return the reward in use as a function of observations."""
        hand = self.hand
        return RewardOfObservation(
            self.rewards[self.reward],
            self._elements("joints"),
            hand.target(np.zeros(hand.n)),
            hand.target(np.ones(hand.n)) - hand.target(np.zeros(hand.n)),
            hand.nominal,
            self._elements("error", "joint_errors"),
            self.period,
        )

    def _relabelling(self) -> Relabelling:
        """Return how to observe another goal."""
        if isinstance(self.aim, ObjectAim):
            error, fine = self._elements("error"), self._elements("fine_error")
            return Relabelling(error, error, (1.0,), fine, self.aim.fine or 1.0)
        ones = np.ones(self.hand.n)
        half = self.hand.target(ones) - self.hand.target(0 * ones)
        elements = self._elements("joints"), self._elements("joint_errors")
        return Relabelling(*elements, tuple(half.tolist()))

    def _symmetries(self) -> tuple[Symmetry, ...]:
        """Return the exchanges in which each alike finger takes the place of a later one."""
        hand = self.hand
        if not self.symmetric:
            return ()
        found = []
        for turn in range(1, len(hand.alike)):
            action = list(range(hand.n))
            for finger, other in zip(
                hand.alike, hand.alike[turn:] + hand.alike[:turn], strict=True
            ):
                for joint, taken in zip(finger, other, strict=True):
                    action[hand.index(joint)] = hand.index(taken)
            observation: list[int] = []
            for name, size in self.layout:
                order = action if name in PER_JOINT else range(size)
                observation += [len(observation) + place for place in order]
            found.append(Symmetry(tuple(observation), tuple(action)))
        return tuple(found)

    def _fingers(self) -> Fingers | None:
        """Return what a gait has to know; None: the goal is not one of the object."""
        if not self.aim.of_object:
            return None
        error, hand = 0, self.hand
        for name, size in self.layout:
            if name == "error":
                break
            error += size
        joint, finger = list(range(hand.n)), [0] * hand.n
        alike = hand.alike if self.symmetric else ()
        for place, names in enumerate(alike):
            for name, first in zip(names, alike[0], strict=True):
                joint[hand.index(name)], finger[hand.index(name)] = hand.index(first), place
        dense = sorted(set(joint))
        return Fingers(error, tuple(map(dense.index, joint)), tuple(finger), self.period)

    def with_reward(self, name: str) -> "Task":
        """Return the same task under another reward variant."""
        return replace(self, reward=name)

    def start(self, seed: int, episode: int) -> Start:
        """Draw start and goal of an episode."""
        rng = episode_rng(seed, episode, START_STREAM)
        angle, goal = self.start_angle.draw(rng), np.atleast_1d(self.goal_angle.draw(rng))
        velocity = np.atleast_1d(self.goal_velocity.draw(rng))
        if self.goal_from_start:
            goal = goal + angle
        return Start(angle, tuple(goal.tolist()), tuple(velocity.tolist()))

    def mark(self, start: Start, time: float) -> float | None:
        """Return the goal angle at a time after the start [s]; rad, None for goals of the hand."""
        if not self.aim.of_object:
            return None
        return start.goal_angle[0] + start.goal_velocity[0] * time

    def make_reset(self, object_angle: float) -> ResetProcedure:
        """Build the procedure that brings the object to an angle, and the hand to rest.

        Args:
            object_angle: rad.

        Raises:
            BadConfig: the fixture cannot bring the object there.
        """
        return RESETS.make(self.reset)(self.hand, self.fixture, object_angle)

    def reward_computer(self) -> RewardComputer:
        """Build the computer of the reward variant in use."""
        return RewardComputer(
            self.rewards[self.reward], self.aim, self.hand.nominal, self.success.tolerance
        )

    def observe(
        self, hand: Hand, state: JointState, obj: ObjectEstimate, goal: Goal, last_action: Array
    ) -> Array:
        """Return observations, (N, observation_size), with the parts of `layout`.

        Joint positions are in units of the commanded range.
        """
        aim = self.aim.parts(state, obj, goal)
        return np.concatenate((hand.normalise(state.q), *aim, last_action), axis=1)

    def succeeded(self, errors: Array) -> tuple[bool, bool]:
        """Return success and strict success of an episode with these errors, (steps,) rad."""
        return self.success.met(errors), self.strict.met(errors)


TASKS: Registry[Task] = Registry("task")


def make_task(name: str) -> Task:
    """Build the task called `name`; raise UnknownName if there is none."""
    return TASKS.make(name)
