"""One finished episode, as the learner gets it."""

from dataclasses import dataclass

from handlab_core.types import Array

ARRAYS = (
    "observations",
    "actions",
    "rewards",
    "reward_terms",
    "errors",
    "goal_angle",
    "temperatures",
)
"""The fields of an episode that are arrays."""


@dataclass(frozen=True, slots=True)
class Episode:
    """T steps of one robot."""

    episode: int
    policy_version: int
    seed: int
    deterministic: bool
    observations: Array  # (T + 1, O); the last row is the state after the last step
    actions: Array  # (T, A), as the policy gave them
    rewards: Array  # (T,)
    reward_terms: Array  # (T, terms), weighted
    errors: Array  # (T,) rad
    terminated: bool  # the task ended it; False: the time was over
    success: bool
    strict_success: bool
    goal_angle: Array  # (g,) rad, when the episode began
    experience_s: float
    reset_s: float
    cooling_s: float
    reset_attempts: int
    temperatures: Array  # (n,) degrees Celsius, of the joints at the end; NaN where unknown
    breaks: int = 0  # attempts before this one that were broken off; their time is in reset_s

    @property
    def steps(self) -> int:
        """T."""
        return len(self.rewards)

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of rewards."""
        return float(self.rewards.sum())

    @property
    def robot_s(self) -> float:
        """Robot time in s: the steps, the reset before them, and waiting for warm servos."""
        return self.experience_s + self.reset_s + self.cooling_s
