"""What a set of episodes says of a policy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from handlab_core.episode import Episode

# Where the episode numbers of evaluations begin, so that none repeats an episode that was learned
# from, or one that decided when to stop.
DURING_TRAINING = 1_000_000
AFTER_TRAINING = 2_000_000
ON_REQUEST = 3_000_000


def judge(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Rates and means over episodes; `mean_final_error` is in rad, over the last fifth of each."""
    tail = [np.abs(e.errors[-(e.steps // 5) :]).mean() for e in episodes]
    return {
        "success_rate": float(np.mean([e.success for e in episodes])),
        "strict_success_rate": float(np.mean([e.strict_success for e in episodes])),
        "episodes": len(episodes),
        "mean_return": float(np.mean([e.episode_return for e in episodes])),
        "mean_final_error": float(np.mean(tail)),
        "robot_s": float(sum(e.robot_s for e in episodes)),
    }
