"""Policies that can be evaluated: a checkpoint of a run, or a skill in a file."""

from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_learning.policy_files.skill_file import SUFFIX, Skill, load_skill
from handlab_learning.runs import checkpoint
from handlab_learning.runs.checkpoint import Checkpoint


def load(path: Path, policy: str = "") -> Checkpoint | Skill:
    """Load a saved policy; see `checkpoint.load` and `load_skill`.

    Args:
        path: of a run, of a checkpoint, or of a skill.
        policy: of a run, `best` or `last`; empty: the best, if the run keeps one.

    Raises:
        BadRun: it is not there, not whole, or of an unknown format.
        BadConfig: a policy is chosen, but the path is not a run folder.
    """
    if path.suffix != SUFFIX or path.is_dir():
        return checkpoint.load(path, policy)
    if policy:
        raise BadConfig(f"{path} holds one policy: leave --policy")
    return load_skill(path)
