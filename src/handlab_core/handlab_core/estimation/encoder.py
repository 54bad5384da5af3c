"""Estimator of the object's state from an encoder on its axis: unwrap, filter, reject outliers.

The filter is that of `handlab_core.estimation.angle`. A single-turn encoder suffices; the estimate
counts turns.
"""

import math
from dataclasses import dataclass

from handlab_core.estimation.angle import TURN, AngleEstimate, correct, predict, wrapped
from handlab_core.estimation.estimator_table import ESTIMATORS, EstimatorSpec
from handlab_core.objects.fixture import Fixture


@dataclass(frozen=True)
class EncoderConfig:
    """Noise of encoder and prediction, and the treatment of outliers."""

    resolution: float = TURN / 4096
    """rad; one tick of the encoder; Dynamixel X series."""
    acceleration: float = 300.0
    """rad^2/s^3; spectral density of the acceleration. In 0.1 s the velocity changes by
    5.5 rad/s (one standard deviation), as after the hit of a finger on a lobe."""
    gate: float = 5.0
    """Standard deviations; threshold of the innovation for outliers."""
    patience: int = 3
    """Number of rejected or missing readings in a row after which the filter restarts at the
    outlier."""
    initial_velocity_variance: float = 4.0
    """rad^2/s^2; variance of the velocity after a restart."""
    longest_gap: float = 1.0
    """s; longest time without a reading before the filter restarts, because a person may have moved
    the object."""


class EncoderEstimator:
    """Filters encoder readings; the state is in the estimate."""

    def __init__(self, config: EncoderConfig | None = None) -> None:
        self.config = config or EncoderConfig()
        self.noise = self.config.resolution**2 / 12  # variance of the rounding error

    def start(self, stamp: float, angle: float) -> AngleEstimate:
        """Return the first estimate, from a first reading [s, rad]."""
        velocity_variance = self.config.initial_velocity_variance
        return AngleEstimate(stamp, angle, 0.0, self.noise, velocity_variance, 0.0, 0)

    def update(self, estimate: AngleEstimate, stamp: float, angle: float) -> AngleEstimate:
        """Predict to the stamp [s] and correct by the encoder's angle [rad].

        A reading that is not finite counts as missing, and an outlier is rejected: the result is
        then the prediction. The filter restarts after `longest_gap` without a call, when time jumps
        back, and at an outlier after `patience` rejections.
        """
        config = self.config
        if not 0.0 <= stamp - estimate.stamp <= config.longest_gap:
            return self.start(stamp, angle if math.isfinite(angle) else estimate.angle)
        x = predict(estimate, stamp, config.acceleration)
        if not math.isfinite(angle):
            return x
        innovation = wrapped(angle - x.angle)  # turns do not count
        variance = x.angle_variance + self.noise
        if innovation * innovation > config.gate * config.gate * variance:
            return x if x.rejections < config.patience else self.start(stamp, x.angle + innovation)
        return correct(x, innovation, variance)


class EncoderFollower:
    """Implements `Follower` with the encoder on the object's axis, whose angle the reading is."""

    def __init__(self, fixture: Fixture, robot: int) -> None:
        self.estimator = EncoderEstimator()
        self.estimate: AngleEstimate | None = None

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """See `Follower.follow`."""
        if self.estimate is None:
            self.estimate = self.estimator.start(stamp, angle)
        else:
            self.estimate = self.estimator.update(self.estimate, stamp, angle)
        return self.estimate


@ESTIMATORS.register
def encoder() -> EstimatorSpec:
    """Build the filter of the encoder's readings."""
    return EstimatorSpec(EncoderFollower)
