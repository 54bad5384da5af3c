"""A camera that exists in simulation only: the object's true angle in, detections out.

Each picture has random numbers of its own, so that what is seen in it depends on nothing but the
seed and the picture's number: a camera that is started again sees what the first one would have.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.estimation.detection import ORIENTATION_NOISE, POSITION_NOISE, AxisView, Detection
from handlab_core.estimation.quaternions import Vector, about, from_rotation_vector, multiply
from handlab_core.types import NS_PER_S


@dataclass(frozen=True)
class SimulatedCameraConfig:
    """A webcam and a tag detector; assumed where no source is named."""

    rate: float = 30.0
    """Hz, of most webcams."""
    latency: float = 0.05
    """s from a picture to its detection, at least: to expose, to transfer and to detect."""
    jitter: float = 0.02
    """s. So much may come on top, evenly distributed."""
    orientation_noise: float = ORIENTATION_NOISE
    """rad, about each axis."""
    position_noise: float = POSITION_NOISE
    """m, along each axis."""
    miss: float = 0.05
    """Probability that a picture gives no detection: a finger is before the tag."""
    outlier: float = 0.02
    """Probability that the object is found, but turned by any angle."""
    wrong: float = 0.01
    """Probability that something else is taken for the object."""
    wrong_distance: float = 0.1
    """m. As far from the object that is, at most, along each axis."""
    settled: float = 0.5
    """s. After a gap, in which the object was out of sight, it has lain still for so long."""
    longest_gap: float = 1.0
    """s. Readings further apart have a gap between them."""

    def __post_init__(self) -> None:
        """Check that the camera can be."""
        if self.rate <= 0 or self.latency < 0 or self.jitter < 0:
            raise BadConfig("a camera needs a positive rate, and no negative latency or jitter")
        if (
            min(self.miss, self.outlier, self.wrong) < 0
            or self.miss + self.outlier + self.wrong > 1
        ):
            raise BadConfig("miss, outlier and wrong are probabilities, together at most 1")


@dataclass(frozen=True, slots=True)
class _Pending:
    arrival_ns: int
    detection: Detection


class SimulatedCamera:
    """Takes pictures between the readings it is shown.

    The object is taken to have moved evenly from one reading to the next: in lockstep a reading
    comes once a control period, and nothing is known in between.

    Args:
        view: where its frame has the axis.
        config: how good it is.
        seed: fixes everything random.
        robot: number of the robot; each has a camera of its own.
    """

    def __init__(
        self,
        view: AxisView,
        config: SimulatedCameraConfig | None = None,
        seed: int = 0,
        robot: int = 0,
    ) -> None:
        self.view, self.config = view, config or SimulatedCameraConfig()
        self._key = seed, robot
        self._last: tuple[int, float] | None = None  # stamp in ns, angle
        self._pending: list[_Pending] = []

    def see(self, stamp: float, angle: float) -> list[Detection]:
        """Show the object at an angle [rad] at a time [s]; return what has arrived since the last.

        Where time jumps back, or on over a gap, the object was out of sight: what is still on its
        way is lost, and the object has lain still at its new angle for a while.
        """
        now, config = round(stamp * NS_PER_S), self.config
        last = self._last
        if last is None or not 0 <= now - last[0] <= config.longest_gap * NS_PER_S:
            self._pending = []
            last = max(0, now - round(config.settled * NS_PER_S)) - 1, angle
        first = _frames_until(last[0], config.rate) + 1
        for frame in range(first, _frames_until(now, config.rate) + 1):
            taken = round(frame * NS_PER_S / config.rate)
            part = (taken - last[0]) / max(1, now - last[0])
            self._shoot(frame, taken / NS_PER_S, last[1] + part * (angle - last[1]))
        self._last = now, angle
        arrived = [p for p in self._pending if p.arrival_ns <= now]
        self._pending = [p for p in self._pending if p.arrival_ns > now]
        return [p.detection for p in sorted(arrived, key=lambda p: p.arrival_ns)]

    def _shoot(self, frame: int, taken: float, angle: float) -> None:
        rng = np.random.default_rng((*self._key, frame))
        delay = self.config.latency + self.config.jitter * rng.uniform()
        detection = detect(self.view, self.config, taken, angle, rng)
        if detection is not None:
            self._pending.append(_Pending(round((taken + delay) * NS_PER_S), detection))


def detect(
    view: AxisView,
    config: SimulatedCameraConfig,
    stamp: float,
    angle: float,
    rng: np.random.Generator,
) -> Detection | None:
    """What a detector finds in one picture, if anything.

    Args:
        view: where its frame has the axis.
        config: how good it is.
        stamp: s, when the picture is taken.
        angle: rad, of the object.
        rng: noise and luck.
    """
    luck = rng.uniform()
    if luck < config.miss:
        return None
    luck -= config.miss
    position, turned = view.centre, multiply(about(view.axis, angle), view.zero)
    if luck < config.outlier:
        turned = multiply(about(view.axis, rng.uniform(-np.pi, np.pi)), view.zero)
    elif luck < config.outlier + config.wrong:
        w, x, y, z = rng.standard_normal(4)
        length = float(np.sqrt(w * w + x * x + y * y + z * z))
        turned = float(w) / length, float(x) / length, float(y) / length, float(z) / length
        position = _moved(position, rng.uniform(-config.wrong_distance, config.wrong_distance, 3))
    turned = multiply(from_rotation_vector(_noise(rng, config.orientation_noise)), turned)
    position = _moved(position, rng.normal(0.0, config.position_noise, 3))
    variances = [config.position_noise**2] * 3 + [config.orientation_noise**2] * 3
    return Detection(stamp, position, turned, tuple(np.diag(variances).ravel().tolist()))


def _noise(rng: np.random.Generator, deviation: float) -> Vector:
    x, y, z = rng.normal(0.0, deviation, 3).tolist()
    return x, y, z


def _moved(position: Vector, by: np.ndarray) -> Vector:
    x, y, z = (a + b for a, b in zip(position, by.tolist(), strict=True))
    return x, y, z


def _frames_until(ns: int, rate: float) -> int:
    """Number of the newest picture at a time; -1 before the first."""
    frame = int(ns * rate // NS_PER_S) + 1
    while frame >= 0 and round(frame * NS_PER_S / rate) > ns:
        frame -= 1
    return frame
