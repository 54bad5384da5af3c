"""Estimator of the object's state from a camera's detections, which may be late, missing or wrong.

The filter of `handlab_core.estimation.angle` is corrected at the time of the picture, and the
estimate is predicted from there to the requested time. Detections are processed in the order of
their pictures; a detection of a picture older than the newest is dropped. A detection whose axis or
position differs from the object's is dropped too. A detection far from the prediction is an
outlier. Outliers that agree with each other form a rival track, which replaces the track when it
has enough of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from handlab_core.estimation.angle import TURN, AngleEstimate, correct, predict, wrapped
from handlab_core.estimation.detection import (
    ORIENTATION_NOISE,
    POSITION_NOISE,
    AxisView,
    Detection,
    is_pose,
)
from handlab_core.estimation.estimator_table import ESTIMATORS, EstimatorSpec
from handlab_core.estimation.quaternions import dot
from handlab_core.estimation.simulated_camera import SimulatedCamera
from handlab_core.objects.fixture import Fixture


@dataclass(frozen=True)
class CameraConfig:
    """Noise of detections and prediction, and the treatment of outliers."""

    acceleration: float = 30.0
    """rad^2/s^3; spectral density of the acceleration. Chosen with `decay` so that innovations have
    about their expected size in episodes of a learned policy; `./handlab bench estimators`."""
    decay: float = 0.2
    """s; time constant of the velocity of an object that is not pushed."""
    gate: float = 5.0
    """Standard deviations; threshold for other things and for outliers."""
    patience: int = 3
    """Number of outliers in a row that must agree to replace the track."""
    initial_velocity_variance: float = 4.0
    """rad^2/s^2; variance of the velocity after a restart."""
    longest_gap: float = 1.0
    """s; longest time without a call, or without a detection, before the filter restarts. An
    estimate is not predicted further."""
    orientation_noise: float = ORIENTATION_NOISE
    """rad; noise of detectors that give no covariance."""
    position_noise: float = POSITION_NOISE
    """m; noise of detectors that give no covariance."""


@dataclass(frozen=True, slots=True)
class Track:
    """State of the filter after the pictures so far."""

    held: AngleEstimate | None = None  # at the newest picture; None: no detection yet
    rival: AngleEstimate | None = None  # estimate from the outliers since then
    votes: int = 0  # number of outliers that agree on the rival


@dataclass(frozen=True, slots=True)
class CameraEstimate(AngleEstimate):
    """Estimate at the requested time, and the track from which it was predicted."""

    track: Track


class CameraEstimator:
    """Filters detections; the state is in the estimate.

    Args:
        view: axis of the object in the frame of the detector.
        config: settings of the filter.
    """

    def __init__(self, view: AxisView, config: CameraConfig | None = None) -> None:
        self.view, self.config = view, config or CameraConfig()

    def start(self, stamp: float, detections: Sequence[Detection] = ()) -> CameraEstimate:
        """Return the first estimate at a time [s], from the detections so far.

        Without a detection the angle is zero, with the variance of a uniform angle.
        """
        return self._carried(self._taken(Track(), stamp, detections), stamp)

    def update(
        self, estimate: CameraEstimate, stamp: float, detections: Sequence[Detection]
    ) -> CameraEstimate:
        """Return the estimate at a time [s], from the detections since the last call.

        The filter restarts after `longest_gap` without a call, or when time jumps back.
        """
        fresh = 0.0 <= stamp - estimate.stamp <= self.config.longest_gap
        track = estimate.track if fresh else Track()
        return self._carried(self._taken(track, stamp, detections), stamp)

    def sees(self, detection: Detection) -> bool:
        """Return whether axis and position of a detection match the object, within the gate."""
        if not is_pose(detection):
            return False
        c = detection.covariance
        across = (c[21] + c[28] + c[35] - self._about_axis(c)) / 2
        place = (c[0] + c[7] + c[14]) / 3
        tilt = self.view.tilt(detection) ** 2 / (across or self.config.orientation_noise**2)
        offset = self.view.offset(detection) ** 2 / (place or self.config.position_noise**2)
        return 0.0 <= tilt + offset <= self.config.gate**2

    def innovation(self, x: AngleEstimate, detection: Detection) -> tuple[float, float]:
        """Return the innovation of a detection against the prediction for its picture.

        Returns:
            Innovation [rad] and its variance [rad^2].
        """
        distance = wrapped(self.view.angle(detection) - x.angle)
        return distance, x.angle_variance + self._noise(detection)

    def _taken(self, track: Track, stamp: float, detections: Sequence[Detection]) -> Track:
        for detection in sorted(detections, key=lambda d: d.stamp):
            fresh = 0.0 <= stamp - detection.stamp <= self.config.longest_gap
            if fresh and self.sees(detection):
                track = self._take(track, detection)
        return track

    def _take(self, track: Track, detection: Detection) -> Track:
        """Return the track after one more detection."""
        config, held = self.config, track.held
        if held is None:
            return Track(self._start(detection, 0.0))
        if detection.stamp <= held.stamp:
            return track
        if detection.stamp - held.stamp > config.longest_gap:
            return Track(self._start(detection, held.angle))
        x, fits = self._tried(held, detection)
        if fits:
            return Track(x)
        votes, rival = 0, track.rival
        if rival is not None:
            rival, agrees = self._tried(rival, detection)
            votes = track.votes if agrees else 0
        if rival is None or votes == 0:
            rival = self._start(detection, x.angle)
        if votes + 1 >= config.patience:
            return Track(rival)
        return Track(x, rival, votes + 1)

    def _tried(self, held: AngleEstimate, detection: Detection) -> tuple[AngleEstimate, bool]:
        """Return the corrected estimate and True, or the prediction and False for an outlier."""
        x = predict(held, detection.stamp, self.config.acceleration, self.config.decay)
        distance, variance = self.innovation(x, detection)
        if distance * distance > self.config.gate**2 * variance:
            return x, False
        return correct(x, distance, variance), True

    def _start(self, detection: Detection, near: float) -> AngleEstimate:
        """Start a track at a detection, in the turn nearest to an angle [rad]."""
        angle = near + wrapped(self.view.angle(detection) - near)
        velocity_variance = self.config.initial_velocity_variance
        noise = self._noise(detection)
        return AngleEstimate(detection.stamp, angle, 0.0, noise, velocity_variance, 0.0, 0)

    def _carried(self, track: Track, stamp: float) -> CameraEstimate:
        config, held = self.config, track.held
        if held is None:
            velocity_variance = config.initial_velocity_variance
            return CameraEstimate(stamp, 0.0, 0.0, TURN**2 / 12, velocity_variance, 0.0, 1, track)
        until = min(stamp, held.stamp + config.longest_gap)
        x = predict(held, until, config.acceleration, config.decay)
        doubt = x.angle_variance, x.velocity_variance, x.covariance
        return CameraEstimate(stamp, x.angle, x.velocity, *doubt, held.rejections, track)

    def _noise(self, detection: Detection) -> float:
        """Return the variance of the detected angle [rad^2]."""
        about = self._about_axis(detection.covariance)
        return about if about > 0.0 else self.config.orientation_noise**2

    def _about_axis(self, c: tuple[float, ...]) -> float:
        x, y, z = self.view.axis
        columns = ((c[i], c[i + 6], c[i + 12]) for i in (21, 22, 23))
        across_x, across_y, across_z = (dot(column, self.view.axis) for column in columns)
        return x * across_x + y * across_y + z * across_z


class CameraFollower:
    """Implements `Follower` with a simulated camera, which sees the true angle."""

    def __init__(self, fixture: Fixture, robot: int) -> None:
        view = AxisView.of_fixture(fixture)
        self.camera, self.estimator = SimulatedCamera(view, robot=robot), CameraEstimator(view)
        self.estimate: CameraEstimate | None = None

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """See `Follower.follow`."""
        seen = self.camera.see(stamp, angle)
        if self.estimate is None:
            self.estimate = self.estimator.start(stamp, seen)
        else:
            self.estimate = self.estimator.update(self.estimate, stamp, seen)
        return self.estimate


@ESTIMATORS.register
def camera() -> EstimatorSpec:
    """Build the filter of a camera's detections."""
    return EstimatorSpec(CameraFollower, CameraEstimator)
