"""Rough parameters of servos, from which a fit begins."""

from itertools import product

import numpy as np

from handlab_core.hands import Hand
from handlab_core.types import Array
from handlab_core.worlds.excitation import Recording
from handlab_sim.identification.motion_model import TIMESTEP, MotionModel, feels

LOWER = np.array([0.05, 1e-4, 1e-4, 1e-5, -0.02, -0.3, 0.0, 0.5])
UPPER = np.array([60.0, 5.0, 1.0, 0.05, 0.09, 0.3, 0.2, 2.0])
"""Bounds of QUANTITIES and MASS. A delay can be negative by the time from a command to the next
reading."""
LEAST = np.array([0.0, 0.005, 0.002, 2e-4, -1.0, -1.0, 0.0, 1.0])  # smallest first guesses
DELAYS = np.arange(0.0, 0.06, 0.001)  # s; delays that the first guess tries
SMOOTH_STEP, SMOOTH_WINDOW, ORDER = 0.01, 9, 3
"""s, samples, and degree; the smoothed motion of the first guess is a polynomial in a window."""
SLOW = 0.1  # rad/s; speed below which the first guess counts dry friction less
PLAY = 0.001  # rad; first guess of the backlash, beyond the described one


def first_guess(
    hand: Hand, recording: Recording, gain: float = 1.0, timestep: float = TIMESTEP
) -> Array:
    """Return rough parameters of a hand, (n, p + 1).

    Gain and delay of a joint that reports its torque are those with which the torque is nearest to
    gain times error. Otherwise they are the described ones, with the gain times a factor.
    """
    own = hand.servos
    guess = np.stack(
        [
            own.stiffness * gain, own.damping * np.sqrt(gain), own.coulomb + 0.01, own.armature,
            own.delay, np.zeros(hand.n), own.backlash + PLAY, np.ones(hand.n),
        ],
        axis=1,
    )  # fmt: skip
    for j in np.flatnonzero(feels(recording)):
        # Torques are those before a step of the simulation.
        tried = [_gain_of(recording, int(j), delay + timestep) for delay in DELAYS]
        rests = np.array([rest for _, rest in tried])
        near = np.flatnonzero(rests <= 1.001 * rests.min())  # between two commands all are alike
        middle = near[len(near) // 2]
        guess[j, 0], guess[j, 4] = max(tried[middle][0], LOWER[0]), DELAYS[middle]
    return guess


def _gain_of(recording: Recording, j: int, delay: float) -> tuple[float, float]:
    """Return a joint's gain for a delay [s], and the squared rest of its torque."""
    at = recording.read_at - delay
    held = np.searchsorted(recording.sent_at, at, side="right") - 1
    error = recording.sent[np.maximum(held, 0), j] - recording.q[:, j]
    torque = recording.effort[:, j]
    gain = float(error @ torque / (error @ error))
    return gain, float(np.square(torque - gain * error).sum())


def better_guess(model: MotionModel, guess: Array) -> Array:
    """Return a guess whose friction, damping and inertia are those of a regression, (n, p + 1).

    The torque of a motor moves the links, whose share is known (inverse dynamics), and its own
    rotor against its friction: torque - links = armature qdd + damping qd + friction sign(qd).
    """
    recording, hand, better = model.recording, model.hand, guess.copy()
    felt = np.flatnonzero(feels(recording))
    time = np.arange(recording.read_at[0], recording.read_at[-1], SMOOTH_STEP)
    columns = np.stack(
        [np.interp(time, recording.read_at, column) for column in recording.q.T], axis=1
    )
    q, speed, pace = (smoothed(columns, order) for order in range(3))
    links = model.inverse(q, speed, pace)
    braking = hand.servos.braking
    for j in felt:
        torque = np.interp(time, recording.read_at, recording.effort[:, j])
        torque = smoothed(torque[:, None], 0)[:, 0]
        terms = np.stack((pace[:, j], speed[:, j], np.tanh(speed[:, j] / SLOW)), axis=1)
        better[j, 3], better[j, 1], better[j, 2] = least_squares(terms, torque - links[:, j])
        better[j, 1] += braking[j]
    return np.clip(better, np.maximum(LOWER, LEAST), UPPER)


def smoothed(values: Array, order: int) -> Array:
    """Return a derivative of values at SMOOTH_STEP, (K, n), by polynomials in moving windows.

    Savitzky and Golay, Analytical Chemistry 36 (1964) 1627. Near the ends the polynomial of the
    first and the last window is taken.

    Args:
        values: (K, n); K is SMOOTH_WINDOW or more.
        order: of the derivative; 0: the smoothed values.
    """
    half = SMOOTH_WINDOW // 2
    powers = np.arange(ORDER + 1)
    at = SMOOTH_STEP * np.arange(-half, half + 1.0)
    coefficients = np.linalg.pinv(at[:, None] ** powers)  # (ORDER + 1, window)
    factor = np.array([np.prod(np.arange(power - order + 1, power + 1)) for power in powers])
    slopes = np.where(powers < order, 0.0, factor * at[:, None] ** np.maximum(powers - order, 0))
    weights = slopes @ coefficients  # (window, window): of each place in a window
    windows = np.lib.stride_tricks.sliding_window_view(values, SMOOTH_WINDOW, axis=0)
    inner = windows @ weights[half]
    begin, end = (weights @ windows[k].T for k in (0, -1))
    return np.concatenate((begin[:half], inner, end[half + 1 :]))


def least_squares(terms: Array, wanted: Array) -> Array:
    """Return the coefficients, none of them negative, that fit best; few terms are expected.

    Args:
        terms: (K, m).
        wanted: (K,).
    """
    square, target = terms.T @ terms, terms.T @ wanted
    best, least = np.zeros(len(target)), 0.0
    for chosen in product((False, True), repeat=len(target)):  # the others are 0
        at = np.flatnonzero(chosen)
        found = np.zeros(len(target))
        found[at] = np.linalg.lstsq(square[np.ix_(at, at)], target[at], rcond=None)[0]
        cost = float(found @ square @ found - 2 * found @ target)
        if (found >= 0.0).all() and cost < least:
            best, least = found, cost
    return best
