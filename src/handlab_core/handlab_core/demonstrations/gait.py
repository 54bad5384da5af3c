"""Gaits: cycles of poses along which a teacher guides the fingers, so that they turn an object."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.system import paths
from handlab_core.system.files import read_json
from handlab_core.system.validation import Name, Number, Positive, build, checked
from handlab_core.tasks.task import Task
from handlab_core.types import Array

Angle = Annotated[Number, Field(ge=-2 * np.pi, le=2 * np.pi)]
"""rad; larger than the range of every joint."""


@dataclass(frozen=True)
class Gait:
    """A cycle of poses that moves an object towards its goal.

    Leading axes, if any, are those of the guided hands; each hand has its own gait.
    """

    poses: Array  # (..., K, n) rad; poses of the cycle, in order
    rate: Array  # (...) rad/s; speed of the joint with the longest way to the next pose
    braking: Array  # (...) rad; distance from the goal below which the speed decreases

    def __post_init__(self) -> None:
        """Check the values."""
        if self.poses.ndim < 2 or self.poses.shape[-2] < 2:
            raise BadConfig(f"a gait needs two poses at least, not shape {self.poses.shape}")
        if not ((np.asarray(self.rate) > 0).all() and (np.asarray(self.braking) > 0).all()):
            raise BadConfig("a gait's rate and braking distance must be positive")

    @property
    def ways(self) -> Array:
        """Longest way of a joint from each pose to the next, (..., K) rad."""
        ways: Array = np.abs(np.roll(self.poses, -1, axis=-2) - self.poses).max(axis=-1)
        return np.maximum(ways, 1e-6)

    def pose(self, along: Array) -> Array:
        """Return the poses (N, n) rad at distances along the cycle, (N,) rad; linear."""
        count, rows = self.poses.shape[-2], np.arange(len(along))
        poses = np.broadcast_to(self.poses, (len(along), *self.poses.shape[-2:]))
        ways = np.broadcast_to(self.ways, (len(along), count))
        ends = np.cumsum(ways, axis=1)
        along = np.mod(along, ends[:, -1])
        first = np.minimum((ends <= along[:, None]).sum(axis=1), count - 1)
        way = ways[rows, first]
        part = (1.0 - (ends[rows, first] - along) / way)[:, None]
        pose: Array = (1 - part) * poses[rows, first] + part * poses[rows, (first + 1) % count]
        return pose


@checked
class _GaitFacts:
    """Contents of the file of a gait."""

    task: Name
    source: dict[Name, Any]
    joints: tuple[Name, ...]
    rate: Positive
    braking: Positive
    poses: Annotated[tuple[tuple[Angle, ...], ...], Field(min_length=2, max_length=100)]


def gait_file(task: Task) -> Path:
    """Return the path of a task's gait."""
    return paths.share() / "config" / "gaits" / f"{task.name}.json"


def load_gait(task: Task) -> Gait:
    """Load the gait of a task.

    Raises:
        UnknownName: the task has none; the message lists the tasks with a gait.
        BadConfig: the file is not a gait of the task's hand.
    """
    path = gait_file(task)
    if not path.is_file():
        known = [other.stem for other in path.parent.glob("*.json")]
        raise UnknownName("gait for the task", task.name, known)
    return read_gait(path, task)


def read_gait(path: Path, task: Task) -> Gait:
    """Read the file of a gait, which may be another task's; BadConfig if it is of another hand."""
    facts = build(_GaitFacts, read_json(path), str(path))
    if facts.joints != task.hand.joints:
        raise BadConfig(
            f"{path} is a gait of {', '.join(facts.joints)}, not of hand {task.hand_name}"
        )
    if any(len(pose) != len(facts.joints) for pose in facts.poses):
        raise BadConfig(f"{path}: each of the poses needs {len(facts.joints)} angles")
    return Gait(np.array(facts.poses), np.array(facts.rate), np.array(facts.braking))


def gait_text(task: Task, gait: Gait, source: dict[str, Any]) -> str:
    """Return a gait and its source as the text that `load_gait` reads."""
    head = {"task": task.name, "source": source, "joints": list(task.hand.joints)}
    lines = [f' "{key}": {json.dumps(value)}' for key, value in head.items()]
    lines += [f' "{key}": {float(getattr(gait, key)):.3f}' for key in ("rate", "braking")]
    poses = ",\n".join("  " + json.dumps(np.round(pose, 3).tolist()) for pose in gait.poses)
    return "{\n" + ",\n".join(lines) + ',\n "poses": [\n' + poses + "\n ]\n}\n"
