"""Object state from an encoder on its axis: unwrap, filter, reject.

A Kalman filter on angle and velocity, driven by white acceleration (Bar-Shalom, Li, Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2). The encoder may
report within one turn; the estimate counts turns. One object at a time, in plain numbers: at this
size they are faster than arrays, for one object and for a thousand.
"""

import math
from dataclasses import dataclass

TURN = 2 * math.pi


@dataclass(frozen=True)
class EncoderConfig:
    """How far the encoder and the prediction are trusted."""

    resolution: float = TURN / 4096
    """rad, one tick of a Dynamixel X-series encoder."""
    acceleration: float = 300.0
    """rad^2/s^3, spectral density: within 0.1 s the velocity changes by 5.5 rad/s (one sigma), as a
    finger that hits a lobe of a valve makes it."""
    gate: float = 5.0
    """Innovations beyond so many standard deviations are outliers."""
    patience: int = 3
    """After so many rejected or missing readings in a row, itself counted, an outlier is the truth:
    the filter starts anew there."""
    initial_velocity_variance: float = 4.0
    """rad^2/s^2."""
    longest_gap: float = 1.0
    """s. After a longer silence the filter starts anew: the object may have been moved by hand."""


@dataclass(frozen=True, slots=True)
class AngleEstimate:
    """Where one object is and how it turns, with the estimator's own doubt."""

    stamp: float  # s
    angle: float  # rad, unwrapped
    velocity: float  # rad/s
    angle_variance: float  # rad^2
    velocity_variance: float  # rad^2/s^2
    covariance: float  # rad^2/s, between angle and velocity
    rejections: int  # measurements rejected or missing in a row; 0: the newest was used


class EncoderEstimator:
    """Filter encoder readings; pure but for its configuration."""

    def __init__(self, config: EncoderConfig | None = None) -> None:
        self.config = config or EncoderConfig()
        self.noise = self.config.resolution**2 / 12  # variance of a uniform rounding error

    def start(self, stamp: float, angle: float) -> AngleEstimate:
        """First estimate, from a first reading [s, rad]."""
        velocity_variance = self.config.initial_velocity_variance
        return AngleEstimate(stamp, angle, 0.0, self.noise, velocity_variance, 0.0, 0)

    def update(self, estimate: AngleEstimate, stamp: float, angle: float) -> AngleEstimate:
        """Predict to the stamp [s] and correct by the encoder's angle [rad].

        A reading that is not finite counts as missing, and an outlier is rejected: then the
        prediction alone is returned. The filter starts anew after `longest_gap` without a call, or
        when time jumps back, and at an outlier that `patience` takes for the truth.
        """
        config = self.config
        if not 0.0 <= stamp - estimate.stamp <= config.longest_gap:
            return self.start(stamp, angle if math.isfinite(angle) else estimate.angle)
        x = self._predict(estimate, stamp)
        if not math.isfinite(angle):
            return x
        innovation = (angle - x.angle + math.pi) % TURN - math.pi  # turns do not count
        variance = x.angle_variance + self.noise
        if innovation * innovation > config.gate * config.gate * variance:
            return x if x.rejections < config.patience else self.start(stamp, x.angle + innovation)
        gain, velocity_gain = x.angle_variance / variance, x.covariance / variance
        return AngleEstimate(
            stamp,
            x.angle + gain * innovation,
            x.velocity + velocity_gain * innovation,
            (1.0 - gain) * x.angle_variance,
            x.velocity_variance - velocity_gain * x.covariance,
            (1.0 - gain) * x.covariance,
            0,
        )

    def _predict(self, estimate: AngleEstimate, stamp: float) -> AngleEstimate:
        """The estimate at a later time, as if the reading there were missing."""
        dt, density = stamp - estimate.stamp, self.config.acceleration
        spread = estimate.velocity_variance + density * dt / 3.0
        return AngleEstimate(
            stamp,
            estimate.angle + dt * estimate.velocity,
            estimate.velocity,
            estimate.angle_variance + dt * (2.0 * estimate.covariance + dt * spread),
            estimate.velocity_variance + density * dt,
            estimate.covariance + dt * (estimate.velocity_variance + density * dt / 2.0),
            estimate.rejections + 1,
        )
