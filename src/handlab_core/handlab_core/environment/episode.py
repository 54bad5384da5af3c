"""Episodes: the plan of the episodes to run, and one finished episode as the learner gets it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from handlab_core.types import Array


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """Episodes that a sampler runs; with a policy they fix all that happens in a simulation."""

    seed: int  # seed of the run
    numbers: Sequence[int]  # number of each episode, in the order in which they are returned
    deterministic: bool = False  # act with the policy's mean, without noise

    def batches(self, size: int) -> Iterator["EpisodePlan"]:
        """Return plans of at most `size` episodes each, in order."""
        for first in range(0, len(self.numbers), size):
            yield replace(self, numbers=self.numbers[first : first + size])

    def key(self, number: int, policy_version: int) -> "EpisodeKey":
        """Return the key of one episode of the plan."""
        return EpisodeKey(int(number), self.seed, policy_version, self.deterministic)


@dataclass(frozen=True, slots=True)
class EpisodeKey:
    """Identity of an episode: start, goal and noise follow from it."""

    number: int
    seed: int
    policy_version: int
    deterministic: bool


@dataclass(frozen=True, slots=True)
class Trajectory:
    """T steps of one robot."""

    observations: Array  # (T + 1, O); the last row is the state after the last step
    actions: Array  # (T, A), as the policy gave them
    rewards: Array  # (T,)
    reward_terms: Array  # (T, terms), weighted
    errors: Array  # (T,) rad; distance from the goal, m or rad in the Adroit suite
    goal_angle: Array  # (g,) rad; goal at the start of the episode


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an episode."""

    success: bool
    strict_success: bool
    terminated: bool = False  # the task ended the episode; False: its time was over

    @property
    def solved(self) -> bool:
        """Whether both criteria were met; neither of them implies the other."""
        return self.success and self.strict_success


@dataclass(frozen=True, slots=True)
class RobotTime:
    """Time that an episode took on the robot."""

    experience_s: float  # s; control steps times the control period
    reset_s: float = 0.0  # s; the reset before the episode, and attempts that were broken off
    cooling_s: float = 0.0  # s; waiting for warm motors
    reset_attempts: int = 0
    breaks: int = 0  # attempts before this one that were broken off

    @property
    def robot_s(self) -> float:
        """Sum of all parts; s."""
        return self.experience_s + self.reset_s + self.cooling_s


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode of one robot."""

    key: EpisodeKey
    trajectory: Trajectory
    outcome: Outcome
    time: RobotTime
    temperatures: Array  # (n,) degrees Celsius; joints at the end of the episode, NaN: unknown
    interventions: Array = field(default_factory=lambda: np.zeros(0))
    """(T,); 1 at steps whose action is an intervener's, 0 elsewhere. Empty: no intervener."""
    drawn: Mapping[str, float] = field(default_factory=dict)
    """Values that were drawn for the world of this episode, by name of the quantity."""

    @property
    def intervention_rate(self) -> float:
        """Fraction of the steps whose action is an intervener's."""
        return float(self.interventions.mean()) if len(self.interventions) else 0.0

    @property
    def number(self) -> int:
        """Number of the episode in its run."""
        return self.key.number

    @property
    def success(self) -> bool:
        """Whether the episode met the task's criterion."""
        return self.outcome.success

    @property
    def arrays(self) -> dict[str, Array]:
        """All arrays of the episode by name."""
        names = (part.name for part in fields(Trajectory))
        named = {name: getattr(self.trajectory, name) for name in names}
        own = {"temperatures": self.temperatures, "interventions": self.interventions}
        return named | own

    @property
    def steps(self) -> int:
        """Number of steps, T."""
        return len(self.trajectory.rewards)

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of rewards."""
        return float(self.trajectory.rewards.sum())


def unknown_temperatures(joints: int) -> Array:
    """Return the temperatures of joints without a sensor, (joints,) NaN."""
    return np.full(joints, np.nan)
