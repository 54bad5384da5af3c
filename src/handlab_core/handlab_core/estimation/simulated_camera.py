"""Simulated camera with a tag detector: the object's true angle in, detections out.

The random numbers of a picture depend only on the seed and on the picture's number. Therefore a
restarted camera gives the same detections as one without interruption.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.estimation.detection import ORIENTATION_NOISE, POSITION_NOISE, AxisView, Detection
from handlab_core.estimation.quaternions import Vector, about, from_rotation_vector, multiply
from handlab_core.types import NS_PER_S


@dataclass(frozen=True)
class SimulatedCameraConfig:
    """Properties of a webcam and a tag detector; assumed where no source is given."""

    rate: float = 30.0
    """Hz; rate of most webcams."""
    latency: float = 0.05
    """s; minimum delay of a detection: exposure, transfer and detection."""
    jitter: float = 0.02
    """s; largest additional delay, uniformly distributed."""
    orientation_noise: float = ORIENTATION_NOISE
    """rad; standard deviation about each axis."""
    position_noise: float = POSITION_NOISE
    """m; standard deviation along each axis."""
    miss: float = 0.05
    """Probability of a picture without detection, because a finger hides the tag."""
    outlier: float = 0.02
    """Probability of a detection with a random angle."""
    wrong: float = 0.01
    """Probability of a detection of something else."""
    wrong_distance: float = 0.1
    """m; largest distance of such a detection from the object, along each axis."""
    settled: float = 0.5
    """s; assumed rest of the object at the end of a gap."""
    longest_gap: float = 1.0
    """s; longest time between two readings that is not a gap."""

    def __post_init__(self) -> None:
        """Check the values."""
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
    """Takes pictures between readings of the true angle.

    Between two readings the angle is interpolated linearly, because in lockstep a reading comes
    once per control period.

    Args:
        view: axis of the object in the frame of the camera.
        config: properties of the camera.
        seed: seed of all random numbers.
        robot: number of the robot; each robot has its own camera.
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
        """Process a reading; return the detections that have arrived since the last reading.

        A jump back in time and a gap discard the pending detections. The object is then assumed to
        have rested at the new angle for `settled`.

        Args:
            stamp: s.
            angle: rad; true angle of the object.
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
    """Return the detection in one picture; None if the object is not found.

    Args:
        view: axis of the object in the frame of the camera.
        config: properties of the camera.
        stamp: s; time of the picture.
        angle: rad; true angle of the object.
        rng: source of noise and outliers.
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
    """Return the number of the newest picture at a time [ns]; -1 before the first."""
    frame = int(ns * rate // NS_PER_S) + 1
    while frame >= 0 and round(frame * NS_PER_S / rate) > ns:
        frame -= 1
    return frame
