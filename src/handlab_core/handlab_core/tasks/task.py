"""What a task is: a hand, an object, where it starts, where it shall go, what is rewarded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import Hand, make_hand
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.registry import Registry
from handlab_core.reset.procedure import MOTOR, RESETS, ResetProcedure
from handlab_core.rewards.goal import Aim, ObjectAim
from handlab_core.rewards.reward import RewardComputer, Term
from handlab_core.tasks.criteria import Criterion, LastFifth, MeanOfLastFifth
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array, Goal, JointState, ObjectEstimate

START_STREAM, NOISE_STREAM = 0, 1
"""Independent random streams of one episode."""

OBJECT = ObjectAim()
NEAR = LastFifth(np.deg2rad(20.0))
STRICTLY_NEAR = MeanOfLastFifth(0.1)
"""rad; robel/dclaw/turn.py @ 5b0fd37."""


def episode_rng(seed: int, episode: int, stream: int) -> np.random.Generator:
    """Random numbers that depend on nothing but the run's seed and the episode's number."""
    return np.random.default_rng((seed, episode, stream))


@dataclass(frozen=True)
class Start:
    """Where one episode begins and what it shall reach."""

    object_angle: float  # rad
    goal_angle: tuple[float, ...]  # rad, when the episode begins; one for each angle of the goal
    goal_velocity: tuple[float, ...]  # rad/s


@dataclass(frozen=True)
class Range:
    """A uniform distribution; a point where both ends are equal."""

    lower: float
    upper: float

    def draw(self, rng: np.random.Generator) -> float:
        """One number from it."""
        return float(rng.uniform(self.lower, self.upper))


@dataclass(frozen=True)
class PoseRange:
    """A uniform distribution for each joint of a hand."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> tuple[float, ...]:
        """One number for each joint."""
        return tuple(rng.uniform(self.lower, self.upper).tolist())


@dataclass(frozen=True)
class Task:
    """A skill to learn, for one hand and one object."""

    name: str
    description: str
    hand_name: str
    fixture_name: str
    rewards: Mapping[str, tuple[Term, ...]]
    """Variants by name."""
    reward: str
    """The variant in use."""
    start_angle: Range
    """Of the object; rad."""
    goal_angle: Range | PoseRange
    """rad."""
    goal_velocity: Range | PoseRange = Range(0.0, 0.0)
    """rad/s."""
    goal_from_start: bool = False
    """The goal's angle counts from where the object starts."""
    aim: Aim = OBJECT
    """What shall come to the goal."""
    period: float = 0.1
    """s, one action each."""
    steps: int = 60
    """Of one episode."""
    smoothing: float = 0.0
    """Of the last action so much stays in the next, as it is carried out and observed: a low-pass
    in front of the joints."""
    reset: str = MOTOR
    """Name of the reset procedure."""
    success: Criterion = NEAR
    strict: Criterion = STRICTLY_NEAR
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by algorithm that differ from the algorithm's defaults."""

    kind: ClassVar[str] = "station"
    has_graph: ClassVar[bool] = True
    only_object_varies: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check that the task can be."""
        if self.reward not in self.rewards:
            raise UnknownName(f"reward of {self.name}", self.reward, self.rewards)
        if self.steps < 5 or self.period <= 0:
            raise BadConfig(f"task {self.name}: needs 5 steps at least and a positive period")
        if not 0.0 <= self.smoothing < 1.0:
            raise BadConfig(f"task {self.name}: smoothing {self.smoothing} must be in [0, 1)")

    @property
    def hand(self) -> Hand:
        """The hand that does it."""
        return make_hand(self.hand_name)

    @property
    def fixture(self) -> Fixture:
        """The object it is done to."""
        return FIXTURES.make(self.fixture_name)

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """The observation: name and size of its parts, in order."""
        n = self.hand.n
        return (("joints", n), *self.aim.layout(n), ("last_action", n))

    @property
    def observation_size(self) -> int:
        """Numbers in one observation."""
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
        """The sizes that learning needs."""
        return Spaces(self.observation_size, self.hand.n, self.steps)

    def with_reward(self, name: str) -> "Task":
        """The same task under another reward variant."""
        return replace(self, reward=name)

    def start(self, seed: int, episode: int) -> Start:
        """Draw the start and the goal of an episode."""
        rng = episode_rng(seed, episode, START_STREAM)
        angle, goal = self.start_angle.draw(rng), np.atleast_1d(self.goal_angle.draw(rng))
        velocity = np.atleast_1d(self.goal_velocity.draw(rng))
        if self.goal_from_start:
            goal = goal + angle
        return Start(angle, tuple(goal.tolist()), tuple(velocity.tolist()))

    def mark(self, start: Start, time: float) -> float | None:
        """Where the object shall be [rad] so long after the start [s]; None if it need not be."""
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
        """Build what computes the chosen reward."""
        return RewardComputer(
            self.rewards[self.reward], self.aim, self.hand.nominal, self.success.tolerance
        )

    def observe(
        self, hand: Hand, state: JointState, obj: ObjectEstimate, goal: Goal, last_action: Array
    ) -> Array:
        """The observation, (N, observation_size), parts as in `layout`.

        Joints are in units of the commanded range.
        """
        aim = self.aim.parts(state, obj, goal)
        return np.concatenate((hand.normalise(state.q), *aim, last_action), axis=1)

    def succeeded(self, errors: Array) -> tuple[bool, bool]:
        """Success and strict success of a whole episode's errors, (steps,) rad."""
        return self.success.met(errors), self.strict.met(errors)


TASKS: Registry[Task] = Registry("task")


def make_task(name: str) -> Task:
    """Build the task called `name`; an unknown name raises UnknownName."""
    return TASKS.make(name)
