"""Kalman filter of an object's angle and angular velocity, driven by white acceleration.

Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001,
section 6.2.2. The state is plain numbers, one object at a time: at this size they are faster than
arrays, for one object and for a thousand.
"""

import math
from dataclasses import dataclass

TURN = 2 * math.pi


@dataclass(frozen=True, slots=True)
class AngleEstimate:
    """Estimated angle and velocity of one object, with their covariance."""

    stamp: float  # s
    angle: float  # rad, unwrapped
    velocity: float  # rad/s
    angle_variance: float  # rad^2
    velocity_variance: float  # rad^2/s^2
    covariance: float  # rad^2/s; covariance of angle and velocity
    rejections: int  # rejected or missing measurements in a row; 0: the newest was used


def wrapped(angle: float) -> float:
    """Return the equivalent angle in [-pi, pi); rad."""
    return (angle + math.pi) % TURN - math.pi


def predict(
    estimate: AngleEstimate, stamp: float, density: float, decay: float = math.inf
) -> AngleEstimate:
    """Return the prediction for a later time; it counts as a missing measurement.

    Args:
        estimate: of an earlier time.
        stamp: s.
        density: rad^2/s^3; spectral density of the acceleration.
        decay: s; time constant of the velocity of an object that is not pushed (Singer, IEEE
            Transactions on Aerospace and Electronic Systems 6, 1970, one derivative lower).
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
    kept = math.exp(-dt / decay)  # fraction of the velocity that remains
    reach = -decay * math.expm1(-dt / decay)  # s; integral of that fraction
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
    """Return the estimate after a measurement of the angle.

    Args:
        x: prediction for the time of the measurement.
        innovation: rad; measured minus predicted angle.
        variance: rad^2; of the innovation, the sum of prediction and measurement.
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
