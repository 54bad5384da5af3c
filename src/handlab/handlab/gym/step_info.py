"""The `info` of resets and steps."""

from typing import Any

import numpy as np

from handlab_core.environment.station import ResetResult
from handlab_core.tasks import Task
from handlab_core.types import Array, BoolArray, Reward


def reset_info(start: ResetResult) -> dict[str, Array]:
    """Return the robot time that a reset took [s], and the goal [rad]."""
    return {"reset_s": start.duration, "goal": start.goal.angle.copy()}


def step_info(task: Task, reward: Reward) -> dict[str, Array]:
    """Return facts about a step that are not for learners: error, success and reward terms."""
    terms = {
        f"reward/{term.name}": reward.terms[:, i]
        for i, term in enumerate(task.rewards[task.reward])
    }
    return {"error": reward.error, "is_success": reward.success.astype(np.float64), **terms}


def add_info(info: dict[str, Any], facts: dict[str, Array], mask: BoolArray) -> None:
    """Add facts of the robots of a mask to a vector's info; `_key` marks these robots."""
    for key, value in facts.items():
        if key not in info:
            info[key] = np.zeros((len(mask), *value.shape[1:]), dtype=value.dtype)
            info[f"_{key}"] = np.zeros(len(mask), dtype=bool)
        info[key][mask] = value
        info[f"_{key}"] |= mask
