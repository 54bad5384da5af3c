"""Object state from a camera's detections, which come late, or not at all, or are wrong.

The filter of `handlab_core.estimation.angle`, corrected at the time at which a picture was taken,
and carried on from there to the time at which it is asked. Detections are taken in the order of
their pictures; one of an older picture than the newest is dropped, since at the rate of a camera
the newer one says more. What cannot be the object, since its axis or its place is elsewhere, is
dropped too; what can, but is too far from the prediction, is an outlier. Outliers that agree with
each other are followed beside, as a rival, until there are enough of them to be believed.
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
from handlab_core.estimation.follower import ESTIMATORS, EstimatorSpec
from handlab_core.estimation.quaternions import dot
from handlab_core.estimation.simulated_camera import SimulatedCamera
from handlab_core.objects.fixture import Fixture


@dataclass(frozen=True)
class CameraConfig:
    """How far detections and the prediction are trusted."""

    acceleration: float = 30.0
    """rad^2/s^3, spectral density. With `decay` chosen so that over episodes of a learned policy on
    the valve innovations are about as large as expected: `./handlab bench estimators`."""
    decay: float = 0.2
    """s, in which an object that nobody pushes comes to rest."""
    gate: float = 5.0
    """Beyond so many standard deviations a detection is of something else, or an outlier."""
    patience: int = 3
    """So many outliers in a row that agree with each other are the truth."""
    initial_velocity_variance: float = 4.0
    """rad^2/s^2."""
    longest_gap: float = 1.0
    """s. After so long without a call, or without a detection, the filter starts anew; the estimate
    is not carried further either."""
    orientation_noise: float = ORIENTATION_NOISE
    """rad, for detectors that tell no covariance."""
    position_noise: float = POSITION_NOISE
    """m, the same."""


@dataclass(frozen=True, slots=True)
class Track:
    """What was made of the pictures so far."""

    held: AngleEstimate | None = None  # at the newest picture; None: nothing was seen yet
    rival: AngleEstimate | None = None  # what the outliers since then say
    votes: int = 0  # outliers that agree on it


@dataclass(frozen=True, slots=True)
class CameraEstimate(AngleEstimate):
    """The estimate for the time it was asked for, and what it was carried on from."""

    track: Track


class CameraEstimator:
    """Filter detections; pure but for its configuration.

    Args:
        view: where the detector's frame has the axis.
        config: what is trusted.
    """

    def __init__(self, view: AxisView, config: CameraConfig | None = None) -> None:
        self.view, self.config = view, config or CameraConfig()

    def start(self, stamp: float, detections: Sequence[Detection] = ()) -> CameraEstimate:
        """First estimate at a time [s], from what has been seen so far, which may be nothing.

        Then the angle is zero with the variance of any angle, and nothing is held.
        """
        return self._carried(self._taken(Track(), stamp, detections), stamp)

    def update(
        self, estimate: CameraEstimate, stamp: float, detections: Sequence[Detection]
    ) -> CameraEstimate:
        """The estimate at a time [s], by the detections that have come since the last call.

        The filter starts anew after `longest_gap` without a call, or when time jumps back.
        """
        fresh = 0.0 <= stamp - estimate.stamp <= self.config.longest_gap
        track = estimate.track if fresh else Track()
        return self._carried(self._taken(track, stamp, detections), stamp)

    def sees(self, detection: Detection) -> bool:
        """Whether a detection is a pose whose axis and place are the object's, within the gate."""
        if not is_pose(detection):
            return False
        c = detection.covariance
        across = (c[21] + c[28] + c[35] - self._about_axis(c)) / 2
        place = (c[0] + c[7] + c[14]) / 3
        tilt = self.view.tilt(detection) ** 2 / (across or self.config.orientation_noise**2)
        offset = self.view.offset(detection) ** 2 / (place or self.config.position_noise**2)
        return 0.0 <= tilt + offset <= self.config.gate**2

    def innovation(self, x: AngleEstimate, detection: Detection) -> tuple[float, float]:
        """How far a detection is from what was predicted for its picture.

        Returns:
            That distance [rad] and its variance [rad^2].
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
        """What is known after one more detection."""
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
        """The estimate at a picture: corrected, if the detection fits; else only predicted."""
        x = predict(held, detection.stamp, self.config.acceleration, self.config.decay)
        distance, variance = self.innovation(x, detection)
        if distance * distance > self.config.gate**2 * variance:
            return x, False
        return correct(x, distance, variance), True

    def _start(self, detection: Detection, near: float) -> AngleEstimate:
        """Begin at a detection, in the turn that is nearest to an angle [rad]."""
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
        """Variance of the seen angle [rad^2]."""
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
