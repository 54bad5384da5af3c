"""Fit of servo parameters to a recorded motion.

The hand is simulated with the recorded commands; the parameters are those whose motion differs
least from the measured one (output error, Levenberg-Marquardt with several starts). The joints of
one finger depend on each other, the fingers do not: nothing touches. Therefore the same parameter
of all fingers is varied in one simulation. Links may be heavier than described: what they weigh
would otherwise pass for the rotors' inertia. The mass of each finger is fitted, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.types import Array
from handlab_core.worlds.excitation import Recording
from handlab_core.worlds.fitted import QUANTITIES
from handlab_sim.identification.first_guess import LOWER, UPPER, better_guess, first_guess
from handlab_sim.identification.motion_model import MASS, NOISE, TIMESTEP, MotionModel, feels

POSITIVE = 4
"""Number of QUANTITIES that are fitted as logarithms."""
SCALE = np.array([0.2, 0.2, 0.2, 0.2, 0.002, 0.01, 0.002, 0.1])
"""Typical changes of QUANTITIES and MASS; of POSITIVE relative ones."""
LONGEST = np.array([0.7, 0.7, 0.7, 0.7, 0.006, 0.02, 0.004, 0.1])
"""Largest change of one iteration."""
PRIOR = np.array([2.0, 2.0, 2.0, 1.5, 0.1, 0.02, 0.02, 0.1])
"""Standard deviations about the first guess, relative ones of POSITIVE; wide but for the zero,
which only gravity reveals: a calibration by eye is about as good; and
for the mass: parts are weighed."""
FIXED = np.array([2.0, 2.0, 2.0, 1.5, 0.1, 1e-4, 0.02, 1e-6])
"""The same for the choice of the start: zeros and masses stay where they are."""
STARTS = (0.5, 1.0, 2.0, 6.9)
"""Factors of the described gain at which fits begin; the last is about factory P of an XM430."""
DIFFERENCE = 0.1
"""Step of the derivatives in units of SCALE; dry friction makes smaller ones misleading."""
ROUGH_STEPS, STEPS = 4, (2, 2)
"""Iterations of the fits that choose the start, and of the fit itself. Before each of them the
errors of the measurements are estimated again."""
START_TIME = 10.0  # s; part of the recording that chooses among the starts
SETTLE = 0.5  # s; beginning of the recording that does not count
BLOCK = 0.5  # s; errors further apart count as independent
CONFIDENCE = 1.98  # half width of an interval of 95 % in standard deviations, Student's t of 120
FLOOR = np.array([0.012, 0.015, 0.03, 0.05, 0.001, 0.015, 0.001, 0.01])
"""Standard deviations of errors that a fit does not see: steps of commands, timing; from claws
emulated to the wire, of known parameters. Relative ones of POSITIVE."""


@dataclass(frozen=True)
class ServoFit:
    """Fitted parameters of n joints, in the order of the p QUANTITIES."""

    value: Array  # (n, p)
    error: Array  # (n, p) standard deviations
    q: Array  # (K, n) rad; fitted motion at the times of the measurements
    residual: float  # rad; root of the mean square difference
    starts: tuple[float, ...]  # residual of each start, in units of NOISE
    mass: Array  # mass of each finger's links, times the described one

    @property
    def low(self) -> Array:
        """Lower ends of the intervals of 95 %, (n, p)."""
        return self.value - CONFIDENCE * self.error

    @property
    def high(self) -> Array:
        """Upper ends of the intervals of 95 %, (n, p)."""
        return self.value + CONFIDENCE * self.error


def fit_servos(
    hand: Hand,
    recording: Recording,
    threads: int = 1,
    on_step: Callable[[float], None] = lambda residual: None,
    timestep: float = TIMESTEP,
) -> ServoFit:
    """Fit the servo parameters of a hand to a recorded motion.

    Args:
        hand: whose description gives everything but the parameters.
        recording: of a motion that touches nothing.
        threads: number of threads.
        on_step: called with the residual after each step.
        timestep: s; step of the simulation; of a simulated hand that hand's own.

    Raises:
        BadConfig: the recording is too short or not of this hand.
    """
    duration = recording.read_at[-1] - recording.read_at[0]
    if recording.q.shape[1] != hand.n or duration < 4 * SETTLE:
        raise BadConfig(f"a fit needs a longer recording of {hand.n} joints, not {duration:.1f} s")
    rough = MotionModel(hand, _until(recording, START_TIME), threads, timestep)
    starts = (1.0,) if feels(recording).all() else STARTS
    begun = []
    for gain in starts:
        guess = better_guess(rough, first_guess(hand, rough.recording, gain, timestep))
        begun.append(_minimise(rough, _linear(rough, guess), ROUGH_STEPS, on_step, FIXED))
    residuals = tuple(_residual(rough, point) for point in begun)
    best = begun[int(np.argmin(residuals))]
    best = _minimise(rough, _with_own_noise(rough, best), STEPS[0], on_step)
    model = MotionModel(hand, recording, threads, timestep)
    model.noise = rough.noise
    best = _linear(model, best.value)
    for steps in STEPS:
        best = _minimise(model, _with_own_noise(model, best), steps, on_step)
    return _judged(model, best, residuals)


def _until(recording: Recording, time: float) -> Recording:
    """Return the first part of a recording."""
    k = int(np.searchsorted(recording.read_at, recording.read_at[0] + time))
    return Recording(*(getattr(recording, name)[:k] for name in Recording.__dataclass_fields__))


@dataclass
class _Point:
    """Parameters, their motion after SETTLE and its derivatives, in units of the model's noise."""

    value: Array  # (n, p + 1)
    motion: Array  # (K, n, 2)
    slopes: list[Array]
    """For each finger of m joints (2 m K, m p + 1); by parameters in units of SCALE."""


def _with_own_noise(model: MotionModel, point: _Point) -> _Point:
    """Take the noise of the measurements from the differences that a point leaves."""
    old, measured = model.noise, model.measured[_counted(model)]
    left = (measured - point.motion) * old
    model.noise = np.maximum(np.sqrt(np.square(left).mean(axis=0)), NOISE)
    factor = old / model.noise
    slopes = [
        (slope.reshape(len(measured), -1, slope.shape[1]) * factor[chain].reshape(1, -1, 1))
        .reshape(slope.shape)
        for chain, slope in zip(model.chains, point.slopes, strict=True)
    ]  # fmt: skip
    return _Point(point.value, point.motion * factor, slopes)


def _residual(model: MotionModel, point: _Point) -> float:
    """Return the root of the mean square difference of a point, in units of the noise."""
    return float(np.sqrt(np.square(model.measured[_counted(model)] - point.motion).mean()))


def _minimise(
    model: MotionModel,
    start: _Point,
    steps: int,
    on_step: Callable[[float], None],
    prior: Array = PRIOR,
) -> _Point:
    """Return a minimum near a start.

    Every finger has its own step and damping factor, since nothing connects them.
    """
    value, motion, slopes = start.value.copy(), start.motion.copy(), list(start.slopes)
    measured = model.measured[_counted(model)]
    damping = np.full(len(model.chains), 1e-3)
    costs = _costs(model, motion, measured)
    for _ in range(steps):
        trial = value.copy()
        for c, chain in enumerate(model.chains):
            jacobian, error = slopes[c], (measured - motion)[:, chain].ravel()
            square = jacobian.T @ jacobian
            known = _as_vector(np.tile(np.square(SCALE / prior), (len(chain), 1)))
            pulled = known * _as_vector(_apart(start.value[chain], value[chain]) / SCALE)
            lifted = square + np.diag(known + damping[c] * np.diag(square))
            change = np.linalg.solve(lifted, jacobian.T @ error + pulled)
            change = np.clip(_as_rows(change) * SCALE, -LONGEST, LONGEST)
            trial[chain] = np.clip(_moved(value[chain], change), LOWER, UPPER)
        new = _linear(model, trial)
        new_costs = _costs(model, new.motion, measured)
        gained = 0.0
        for c, chain in enumerate(model.chains):
            if new_costs[c] < costs[c]:
                gained = max(gained, 1.0 - new_costs[c] / costs[c])
                value[chain], costs[c], slopes[c] = trial[chain], new_costs[c], new.slopes[c]
                motion[:, chain], damping[c] = new.motion[:, chain], damping[c] / 5
            else:
                damping[c] *= 8
        on_step(float(np.sqrt(costs.sum() / measured.size)))
        if 0.0 < gained < 1e-5 or damping.min() > 1e6:
            break
    return _Point(value, motion, slopes)


def _as_vector(rows: Array) -> Array:
    """Return the unknowns of a finger, (m p + 1,): the mass is one for all of its joints."""
    return np.append(rows[:, :MASS].ravel(), rows[0, MASS])


def _as_rows(vector: Array) -> Array:
    """Return the unknowns of a finger as rows of its joints, (m, p + 1)."""
    rows = vector[:MASS].reshape(-1, len(QUANTITIES))
    return np.column_stack((rows, np.full(len(rows), vector[MASS])))


def _moved(value: Array, change: Array) -> Array:
    """Return parameters, (..., p + 1), after a change; those of POSITIVE change by a factor."""
    moved = value + change
    moved[..., :POSITIVE] = value[..., :POSITIVE] * np.exp(change[..., :POSITIVE])
    return moved


def _apart(one: Array, other: Array) -> Array:
    """Return the change from `other` to `one`, (..., p + 1)."""
    apart = one - other
    apart[..., :POSITIVE] = np.log(one[..., :POSITIVE] / other[..., :POSITIVE])
    return apart


def _counted(model: MotionModel) -> Array:
    counted: Array = model.recording.read_at >= model.recording.read_at[0] + SETTLE
    return counted


def _costs(model: MotionModel, motion: Array, measured: Array) -> Array:
    """Return the sum of squared errors of each finger."""
    return np.array([np.square((measured - motion)[:, chain]).sum() for chain in model.chains])


def _linear(model: MotionModel, value: Array) -> _Point:
    """Simulate parameters, (n, p + 1), and their derivatives."""
    counted, value = _counted(model), np.clip(value, LOWER, UPPER)
    longest, step = max(len(chain) for chain in model.chains), DIFFERENCE
    sets = [value]
    for place in range(longest):
        for p in range(len(QUANTITIES)):
            changed = value.copy()
            for chain in model.chains:
                if place < len(chain):
                    at = chain[place]
                    changed[at, p] = _moved(changed[at], step * SCALE)[p]
            sets.append(changed)
    heavier = value.copy()
    heavier[:, MASS] += step * SCALE[MASS]
    sets.append(heavier)
    motions = model.motions(np.stack(sets))[:, counted]
    slopes = []
    for chain in model.chains:
        ends = [*range(1, 1 + len(chain) * len(QUANTITIES)), MASS]
        columns = [(motions[end] - motions[0])[:, chain].ravel() / step for end in ends]
        slopes.append(np.stack(columns, axis=1))
    return _Point(value, motions[0], slopes)


def _judged(model: MotionModel, point: _Point, starts: tuple[float, ...]) -> ServoFit:
    """Return the fit with standard deviations from the errors themselves, in blocks of time.

    Errors follow each other, so that their number says little; blocks are independent.
    """
    counted, value, slopes = _counted(model), point.value, point.slopes
    measured = model.measured[counted]
    time = model.recording.read_at[counted]
    blocks = ((time - time[0]) / BLOCK).astype(np.int64)
    error = np.zeros_like(value)
    for c, chain in enumerate(model.chains):
        jacobian = slopes[c].reshape(len(measured), 2 * len(chain), -1)
        remains = (measured - point.motion)[:, chain].reshape(len(measured), -1)
        terms = np.einsum("kjp,kj->kp", jacobian, remains)
        sums = np.zeros((blocks[-1] + 1, jacobian.shape[2]))
        np.add.at(sums, blocks, terms)
        known = _as_vector(np.tile(np.square(SCALE / PRIOR), (len(chain), 1)))
        inverse = np.linalg.inv(slopes[c].T @ slopes[c] + np.diag(known))
        covariance = inverse @ (sums.T @ sums) @ inverse
        covariance *= len(sums) / max(1, len(sums) - jacobian.shape[2])
        deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        error[chain] = _as_rows(deviations) * SCALE
    error = np.hypot(error, FLOOR)
    error[:, :POSITIVE] *= value[:, :POSITIVE]
    whole = model.motions(value[None])[0, :, :, 0] * model.noise[:, 0]
    residual = float(np.sqrt(np.square(whole - model.recording.q)[counted].mean()))
    mass = np.array([value[chain[0], MASS] for chain in model.chains])
    return ServoFit(value[:, :MASS], error[:, :MASS], whole, residual, starts, mass)
