"""The scripted teacher: leads passive fingers round a cycle of poses until the object is there.

It does what a person's hand does: it holds every joint by a spring and moves the springs' rest. It
sees what a person sees, the fingers and how far the object still is from its goal, and goes on by
as much as is left to do: so it stops at the goal, and goes back where it went too far.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlab_core import paths
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks.task import Task, episode_rng
from handlab_core.types import Array, BoolArray

GRIP = 4.0
"""N m/rad, of a teacher's hand on each joint. Chosen: 100 N/m at the end of a finger of 0.2 m, as a
person guides, neither limp nor clamping; twice the claw's own servos."""

ARRIVED, LEFT = 0.02, 0.06
"""rad. So near the goal the teacher stops, and starts again when the object is so far from it."""

FLOOR = 0.15
"""Of the full speed, the least while the object is not there."""

TREMBLE_TIME = 0.3
"""s, over which a hand's trembling forgets itself."""

TEACHER_STREAM = 8
"""Random stream of an episode, beside those of `handlab_core.tasks.task`."""


def teacher_rng(seed: int, episode: int) -> np.random.Generator:
    """Random numbers of a teacher in one demonstration."""
    return episode_rng(seed, episode, TEACHER_STREAM)


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
    try:
        plain: dict[str, Any] = json.loads(path.read_text())
        joints = tuple(plain["joints"])
        poses, rate, braking = (np.array(plain[key]) for key in ("poses", "rate", "braking"))
    except (KeyError, ValueError, TypeError) as error:
        raise BadConfig(f"{path} is not a gait: {error!r}") from None
    if joints != task.hand.joints:
        raise BadConfig(f"{path} is a gait of {', '.join(joints)}, not of hand {task.hand_name}")
    return Gait(poses, rate, braking)


def gait_text(task: Task, gait: Gait, source: dict[str, Any]) -> str:
    """A gait as `load_gait` reads it, and where it is from."""
    head = {"task": task.name, "source": source, "joints": list(task.hand.joints)}
    lines = [f' "{key}": {json.dumps(value)}' for key, value in head.items()]
    lines += [f' "{key}": {float(getattr(gait, key)):.3f}' for key in ("rate", "braking")]
    poses = ",\n".join("  " + json.dumps(np.round(pose, 3).tolist()) for pose in gait.poses)
    return "{\n" + ",\n".join(lines) + ',\n "poses": [\n' + poses + "\n ]\n}\n"


@dataclass(frozen=True)
class Manner:
    """How well somebody teaches."""

    speed: float = 1.0
    """Times the gait's own."""
    noise: float = 0.0
    """rad, standard deviation of the hand's trembling while it moves."""
    failures: float = 0.0
    """Part of the demonstrations that are broken off somewhere on the way."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.speed <= 0 or self.noise < 0 or not 0 <= self.failures <= 1:
            raise BadConfig(
                "a teacher's speed must be positive, its noise not negative and its failures a "
                f"part of 1, not {self.speed}, {self.noise} and {self.failures}"
            )


class Teacher:
    """Leads N hands at once, each as if it were alone.

    Args:
        gait: what to do.
        manner: how well.
        rngs: one for each hand; its trembling and whether it breaks off depend on nothing else.
        start: where the hands are, (N, n) rad.
    """

    def __init__(
        self, gait: Gait, manner: Manner, rngs: list[np.random.Generator], start: Array
    ) -> None:
        count = len(rngs)
        self.gait, self.manner, self._rngs = gait, manner, rngs
        self._along, self._there = np.zeros(count), np.zeros(count, dtype=bool)
        self._rest, self._tremble = start.copy(), np.zeros_like(start)
        # Whoever breaks off does so when this part of the way is left.
        broken = np.array([rng.uniform() for rng in rngs]) < manner.failures
        left = np.array([rng.uniform(0.2, 0.9) for rng in rngs])
        self._breaks_off = np.where(broken, left, -np.inf)
        self._way: Array | None = None

    @property
    def there(self) -> BoolArray:
        """Which hands rest, since the object is there or the teacher broke off; (N,)."""
        return self._there

    def tick(self, q: Array, error: Array, dt: float) -> Array:
        """Where to hold the joints for the next `dt` [s], (N, n) rad.

        Args:
            q: where the joints are, (N, n) rad.
            error: object minus goal, (N,) rad.
            dt: s.
        """
        left = np.abs(error)
        if self._way is None:
            self._way = np.maximum(left, ARRIVED)
        broken = left < self._breaks_off * self._way
        stop = np.where(self._there, left < LEFT, left < ARRIVED) | broken
        self._breaks_off = np.where(broken, np.inf, self._breaks_off)
        # Who stops presses no more: the hand rests where the fingers are.
        self._rest = np.where((stop & ~self._there)[:, None], q, self._rest)
        self._there = stop
        pace = np.clip(left / self.gait.braking, FLOOR, 1.0) * self.gait.rate * self.manner.speed
        self._along = self._along + np.where(stop, 0.0, -np.sign(error) * pace * dt)
        going = self.gait.pose(self._along)
        self._rest = np.where(stop[:, None], self._rest, going + self._trembling(dt))
        return self._rest

    def _trembling(self, dt: float) -> Array:
        if self.manner.noise == 0.0:
            return self._tremble
        kept = np.exp(-dt / TREMBLE_TIME)
        fresh = np.stack([rng.standard_normal(self._tremble.shape[1]) for rng in self._rngs])
        spread = self.manner.noise * np.sqrt(1.0 - kept * kept)
        self._tremble = kept * self._tremble + spread * fresh
        return self._tremble
