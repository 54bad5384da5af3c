"""Reference policies that come along."""

from pathlib import Path

from handlab_core.errors import UnknownName
from handlab_core.system.paths import share
from handlab_learning.policy_files.skill_file import SUFFIX


def policies_folder() -> Path:
    """Return the folder of the reference policies."""
    return share() / "policies"


def policy_path(task: str) -> Path:
    """Return the place of a task's reference policy, whether it is there or not."""
    return policies_folder() / f"{task}{SUFFIX}"


def pretrained(task: str) -> Path:
    """Return the file of a task's reference policy.

    Raises:
        UnknownName: no policy of this task comes along; the message lists those that do.
    """
    path = policy_path(task)
    if not path.is_file():
        there = sorted(file.stem for file in policies_folder().glob(f"*{SUFFIX}"))
        raise UnknownName("reference policy", task, there)
    return path
