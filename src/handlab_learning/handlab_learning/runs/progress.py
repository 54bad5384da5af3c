"""State of a training run besides the algorithm's own: counters, and streaks of evaluations."""

from dataclasses import replace
from typing import Any

from handlab_core.system.validation import Index, NotNegative, checked


@checked
class Streak:
    """Number of good evaluations in a row."""

    length: Index = 0
    since: NotNegative | None = None  # robot-hours at the first evaluation of the streak
    reached: NotNegative | None = None  # robot-hours to success: `since` of the first long streak

    def after(self, good: bool, robot_hours: float, enough: int) -> "Streak":
        """Return the streak after one more evaluation."""
        if not good:
            return replace(self, length=0, since=None)
        since = robot_hours if self.since is None else self.since
        length = self.length + 1
        reached = since if self.reached is None and length >= enough else self.reached
        return Streak(length, since, reached)


@checked
class Progress:
    """State from which a run resumes, besides the algorithm's own."""

    iteration: Index = 0
    experience_s: NotNegative = 0.0
    reset_s: NotNegative = 0.0
    cooling_s: NotNegative = 0.0
    evaluation_s: NotNegative = 0.0
    """s; robot time of evaluations, which is not part of `robot_hours`."""
    wall_s: NotNegative = 0.0
    initial: dict[str, Any] | None = None
    """Evaluation before the first update; None in runs that began without one."""
    success: Streak = Streak()
    strict: Streak = Streak()

    @property
    def robot_hours(self) -> float:
        """Robot time of all training episodes: experience, resets and cooling; h."""
        return (self.experience_s + self.reset_s + self.cooling_s) / 3600.0

    def spent(self) -> dict[str, Any]:
        """Return the number of iterations and the robot time of their episodes."""
        return {
            "iteration": self.iteration,
            "robot_hours": self.robot_hours,
            "experience_s": self.experience_s,
            "reset_s": self.reset_s,
            "cooling_s": self.cooling_s,
        }
