"""Base policy of a run that corrects one: read once, and kept in the run's folder.

The copy makes a resumed run independent of the run that the base policy came from, which may have
gone on, moved, or been deleted.
"""

from pathlib import Path
from typing import cast

import numpy as np

from handlab_core.demonstrations.gait import load_gait, read_gait
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.pose_cycle_policy import PoseCyclePolicy
from handlab_core.errors import BadConfig, BadRun, HandlabError
from handlab_core.system.files import read_json
from handlab_core.tasks import Task
from handlab_core.tasks.learnable import LearnableTask
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.runs import checkpoint
from handlab_learning.runs.checkpoint import BASE
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

GAIT = "gait"
"""Name of the task's own gait, in place of a path."""


def read_base(config: RunConfig) -> Policy | None:
    """Read the base policy that a run names; None if its algorithm corrects none.

    Raises:
        HandlabError: it is missing, damaged, or of another hand or observation; names it.
    """
    if not ALGORITHMS[config.algorithm].corrects:
        return None
    task, path = config.make_task(), Path(config.base)
    if config.base == GAIT or _is_gait(path):
        return _gait_policy(config.base, task)
    base = checkpoint.load(path)
    hand = base.manifest["hand"]
    if hand != task.hand_name:
        raise BadConfig(
            f"the policy in {config.base} moves hand {hand}, task {task.name} has hand "
            f"{task.hand_name}; name a policy of that hand with --base"
        )
    return base.policy(task)


def base_of(config: RunConfig, folder: RunFolder) -> Policy | None:
    """Return the base policy of a run; the first call keeps a copy in the run's folder.

    Raises:
        HandlabError: see `read_base`; or the copy is damaged.
    """
    if not ALGORITHMS[config.algorithm].corrects:
        return None
    copy, task = folder.path / BASE, config.make_task()
    if checkpoint.manifests(copy):
        return checkpoint.load(copy).policy(task)
    base = read_base(config)
    assert base is not None
    checkpoint.save(copy, 0, task, base, {}, {})
    return base


def _is_gait(path: Path) -> bool:
    """Return whether a path is the file of a gait rather than a checkpoint's manifest."""
    if path.suffix != ".json" or not path.is_file():
        return False
    facts = read_json(path, BadRun)
    return isinstance(facts, dict) and "poses" in facts


def _gait_policy(base: str, task: LearnableTask) -> Policy:
    """Return a gait as a policy of the task; BadConfig if the task has no use for one."""
    fingers = task.spaces.fingers
    if fingers is None:
        raise BadConfig(
            f"task {task.name} has no object that a gait could turn: name a run or a checkpoint "
            "with --base"
        )
    of_hand = cast(Task, task)  # the only kind that names its fingers
    try:
        gait = load_gait(of_hand) if base == GAIT else read_gait(Path(base), of_hand)
    except HandlabError as error:
        raise BadConfig(f"--base {base}: {error}") from None
    poses = np.clip(of_hand.hand.normalise(gait.poses), -1.0, 1.0)
    durations = gait.ways / (gait.rate * of_hand.period)
    return PoseCyclePolicy(poses, durations, float(gait.braking), fingers.error, version=0)
