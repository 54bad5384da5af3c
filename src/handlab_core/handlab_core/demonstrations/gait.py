"""Gaits: cycles of poses round which a teacher leads fingers, so that they turn an object."""

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
"""rad; no joint of a hand turns further."""


@dataclass(frozen=True)
class Gait:
    """A cycle of poses that moves an object towards its goal.

    Leading axes, if there are any, are of the hands that are led, each with a gait of its own.
    """

    poses: Array  # (..., K, n) rad; visited in order, then the first again
    rate: Array  # (...) rad/s, of the joint that has farthest to go to the next pose
    braking: Array  # (...) rad; nearer to the goal than this, speed falls with the distance

    def __post_init__(self) -> None:
        """Check that it can be gone round."""
        if self.poses.ndim < 2 or self.poses.shape[-2] < 2:
            raise BadConfig(f"a gait needs two poses at least, not shape {self.poses.shape}")
        if not ((np.asarray(self.rate) > 0).all() and (np.asarray(self.braking) > 0).all()):
            raise BadConfig("a gait's rate and braking distance must be positive")

    @property
    def ways(self) -> Array:
        """From each pose to the next, what the joint goes that goes farthest. (..., K) rad."""
        ways: Array = np.abs(np.roll(self.poses, -1, axis=-2) - self.poses).max(axis=-1)
        return np.maximum(ways, 1e-6)

    def pose(self, along: Array) -> Array:
        """The pose so far along the cycle, (N,) rad, straight from pose to pose. (N, n) rad."""
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
    """What the file of a gait gives."""

    task: Name
    source: dict[Name, Any]
    joints: tuple[Name, ...]
    rate: Positive
    braking: Positive
    poses: Annotated[tuple[tuple[Angle, ...], ...], Field(min_length=2, max_length=100)]


def gait_file(task: Task) -> Path:
    """Where a task's gait is kept."""
    return paths.share() / "config" / "gaits" / f"{task.name}.json"


def load_gait(task: Task) -> Gait:
    """The gait that the scripted teacher has for a task.

    Raises:
        UnknownName: it has none; the message lists for which it has one.
        BadConfig: the file is not a gait of the task's hand.
    """
    path = gait_file(task)
    if not path.is_file():
        known = [other.stem for other in path.parent.glob("*.json")]
        raise UnknownName("gait for the task", task.name, known)
    facts = build(_GaitFacts, read_json(path), str(path))
    if facts.joints != task.hand.joints:
        raise BadConfig(
            f"{path} is a gait of {', '.join(facts.joints)}, not of hand {task.hand_name}"
        )
    if any(len(pose) != len(facts.joints) for pose in facts.poses):
        raise BadConfig(f"{path}: each of the poses needs {len(facts.joints)} angles")
    return Gait(np.array(facts.poses), np.array(facts.rate), np.array(facts.braking))


def gait_text(task: Task, gait: Gait, source: dict[str, Any]) -> str:
    """A gait as `load_gait` reads it, and where it is from."""
    head = {"task": task.name, "source": source, "joints": list(task.hand.joints)}
    lines = [f' "{key}": {json.dumps(value)}' for key, value in head.items()]
    lines += [f' "{key}": {float(getattr(gait, key)):.3f}' for key in ("rate", "braking")]
    poses = ",\n".join("  " + json.dumps(np.round(pose, 3).tolist()) for pose in gait.poses)
    return "{\n" + ",\n".join(lines) + ',\n "poses": [\n' + poses + "\n ]\n}\n"
