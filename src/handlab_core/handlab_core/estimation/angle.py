"""The angle of an object and how it turns: the estimate, and the filter's mathematics.

A Kalman filter on angle and velocity, driven by white acceleration (Bar-Shalom, Li, Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2). One object at a time,
in plain numbers: at this size they are faster than arrays, for one object and for a thousand.
"""

import math
from dataclasses import dataclass

TURN = 2 * math.pi


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


def wrapped(angle: float) -> float:
    """The same direction within half a turn of zero [rad]."""
    return (angle + math.pi) % TURN - math.pi


def predict(
    estimate: AngleEstimate, stamp: float, density: float, decay: float = math.inf
) -> AngleEstimate:
    """The estimate at a later time [s], as if a measurement there were missing.

    Args:
        estimate: of an earlier time.
        stamp: s.
        density: spectral density of the acceleration, rad^2/s^3.
        decay: s, in which an object that nobody pushes loses all but 1/e of its velocity (Singer,
            IEEE Transactions on Aerospace and Electronic Systems 6, 1970, one derivative lower).
    """
    if decay < math.inf:
        return _predict_decaying(estimate, stamp, density, decay)
    dt = stamp - estimate.stamp
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


def _predict_decaying(
    estimate: AngleEstimate, stamp: float, density: float, decay: float
) -> AngleEstimate:
    dt = stamp - estimate.stamp
    kept = math.exp(-dt / decay)  # part of the velocity
    reach = -decay * math.expm1(-dt / decay)  # s, of that velocity
    twice = -decay * math.expm1(-2.0 * dt / decay) / 2.0
    spread = density * decay**2 * (dt - 2.0 * reach + twice)
    across = estimate.covariance + reach * estimate.velocity_variance
    return AngleEstimate(
        stamp,
        estimate.angle + reach * estimate.velocity,
        kept * estimate.velocity,
        estimate.angle_variance + reach * (estimate.covariance + across) + spread,
        kept * kept * estimate.velocity_variance + density * twice,
        kept * across + density * reach * reach / 2.0,
        estimate.rejections + 1,
    )


def correct(x: AngleEstimate, innovation: float, variance: float) -> AngleEstimate:
    """The estimate after a measurement of the angle at its own time.

    Args:
        x: predicted to that time.
        innovation: measured minus predicted angle, rad.
        variance: of the innovation: the prediction's and the measurement's together, rad^2.
    """
    gain, velocity_gain = x.angle_variance / variance, x.covariance / variance
    return AngleEstimate(
        x.stamp,
        x.angle + gain * innovation,
        x.velocity + velocity_gain * innovation,
        (1.0 - gain) * x.angle_variance,
        x.velocity_variance - velocity_gain * x.covariance,
        (1.0 - gain) * x.covariance,
        0,
    )
