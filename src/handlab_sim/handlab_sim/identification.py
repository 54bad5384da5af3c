"""Fit of servo parameters to a recorded motion, and a safe place for the motion.

The hand is simulated with the recorded commands; the parameters are those whose motion differs
least from the measured one (output error, Levenberg-Marquardt with several starts). The joints of
one finger depend on each other, the fingers do not: nothing touches. Therefore the same parameter
of all fingers is varied in one simulation.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from mujoco import rollout
from scipy.optimize import lsq_linear
from scipy.signal import savgol_filter

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import BARE, FIXTURES, Fixture
from handlab_core.types import Array, BoolArray, IntArray
from handlab_core.worlds.excitation import Recording
from handlab_core.worlds.fitted import QUANTITIES
from handlab_core.worlds.world import World
from handlab_sim.scene import SceneConfig, build_spec
from handlab_sim.varied import Shape, Variant

TIMESTEP = 0.002  # s; step of the simulations of the fit
LOWER = np.array([0.05, 1e-4, 1e-4, 1e-5, -0.02, -0.3, 0.0])
UPPER = np.array([60.0, 5.0, 1.0, 0.05, 0.09, 0.3, 0.2])
"""Bounds of QUANTITIES. A delay can be negative by the time from a command to the next reading."""
POSITIVE = 4
"""Number of QUANTITIES that are fitted as logarithms."""
SCALE = np.array([0.2, 0.2, 0.2, 0.2, 0.002, 0.01, 0.002])
"""Typical changes; of POSITIVE relative ones."""
LONGEST = np.array([0.7, 0.7, 0.7, 0.7, 0.006, 0.02, 0.004])
"""Largest change of one iteration."""
PRIOR = np.array([2.0, 2.0, 2.0, 1.5, 0.1, 0.02, 0.02])
"""Standard deviations of QUANTITIES about the first guess, relative ones of POSITIVE; wide but for
the zero, which only gravity reveals: a calibration by eye is about as good."""
FIXED = np.array([2.0, 2.0, 2.0, 1.5, 0.1, 1e-4, 0.02])
"""The same for the choice of the start: the zeros stay where they are."""
STARTS = (0.5, 1.0, 2.0, 6.9)
"""Factors of the described gain at which fits begin; the last is about factory P of an XM430."""
DIFFERENCE = 0.1
"""Step of the derivatives in units of SCALE; dry friction makes smaller ones misleading."""
NOISE = (5e-4, 0.003)
"""rad and N m; smallest errors of measured angles and torques: a third of a step of the encoder,
and one of the current's. Larger ones are taken from the differences that a fit leaves."""
SMOOTH_STEP, SMOOTH_WINDOW = 0.01, 9  # s and samples of the smoothed motion of the first guess
SLOW = 0.1  # rad/s; speed below which the first guess counts dry friction less
PLAY = 0.001  # rad; first guess of the backlash, beyond the described one
LEAST = np.array([0.0, 0.005, 0.002, 2e-4, -1.0, -1.0, 0.0])  # smallest first guesses of QUANTITIES
DELAYS = np.arange(0.0, 0.06, 0.001)  # s; delays that the first guess tries
ROUGH_STEPS, STEPS = 4, (2, 2)
"""Iterations of the fits that choose the start, and of the fit itself. Before each of them the
errors of the measurements are estimated again."""
START_TIME = 10.0  # s; part of the recording that chooses among the starts
SETTLE = 0.5  # s; beginning of the recording that does not count
BLOCK = 0.5  # s; errors further apart count as independent
CONFIDENCE = 1.98  # half width of an interval of 95 % in standard deviations, Student's t of 120
FLOOR = np.array([0.012, 0.015, 0.03, 0.05, 0.001, 0.015, 0.001])
"""Standard deviations of errors that a fit does not see: masses of the links, steps of commands,
timing; from three claws emulated to the wire, of known parameters. Relative ones of POSITIVE."""
MARGIN = 0.003  # m; distance that a safe motion keeps
POSES = 200  # random poses by which a motion is judged
PARTS, CENTRES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15), 60
"""Parts of the wanted amplitude that are tried, and number of centres for each."""


@dataclass(frozen=True)
class ServoFit:
    """Fitted parameters of n joints, in the order of the p QUANTITIES."""

    value: Array  # (n, p)
    error: Array  # (n, p) standard deviations
    q: Array  # (K, n) rad; fitted motion at the times of the measurements
    residual: float  # rad; root of the mean square difference
    starts: tuple[float, ...]  # residual of each start, in units of NOISE

    @property
    def low(self) -> Array:
        """Lower ends of the intervals of 95 %, (n, p)."""
        return self.value - CONFIDENCE * self.error

    @property
    def high(self) -> Array:
        """Upper ends of the intervals of 95 %, (n, p)."""
        return self.value + CONFIDENCE * self.error


class MotionModel:
    """Simulates recorded commands for several sets of parameters at once.

    Args:
        hand: whose description gives everything but the parameters.
        recording: commands and measurements.
        threads: number of threads.
        timestep: s; step of the simulation.
    """

    def __init__(
        self, hand: Hand, recording: Recording, threads: int = 1, timestep: float = TIMESTEP
    ) -> None:
        self._timestep = timestep
        config = SceneConfig(timestep=timestep)
        self._variant = Variant(hand, FIXTURES.make(BARE), config, Shape(rough=True))
        self._variant.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
        self.model = copy.copy(self._variant.model)  # with the described parameters
        joints = [self.model.joint(name) for name in hand.joints]
        self._q_at = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._actuators = np.array([self.model.actuator(name).id for name in hand.joints])
        self.hand, self.recording, self._threads = hand, recording, threads
        self._begin = recording.read_at[0]
        self._felt = feels(recording)
        self.noise = np.tile(NOISE, (hand.n, 1))
        """Errors of the measured angles and torques of each joint, (n, 2) rad and N m."""
        self._most = hand.servos.torque_limit
        self._steps = int(np.ceil((recording.read_at[-1] - self._begin) / self._timestep)) + 2
        self._data = [mujoco.MjData(self.model) for _ in range(max(1, threads))]
        self.chains = self._chains()

    def _chains(self) -> list[IntArray]:
        """Return the joints of each finger, from the palm to the tip."""
        chains: dict[int, list[int]] = {}
        for i, name in enumerate(self.hand.joints):
            dof, first = int(self.model.joint(name).dofadr[0]), -1
            while dof >= 0:
                first, dof = dof, int(self.model.dof_parentid[dof])
            chains.setdefault(first, []).append(i)
        return [np.array(chain) for chain in chains.values()]

    def motions(self, parameters: Array) -> Array:
        """Return the measured quantities for sets of parameters, in units of their noise.

        Args:
            parameters: (m, n, p) in the order of QUANTITIES.

        Returns:
            (m, K, n, 2) angles and torques at the times of the measurements.
        """
        models = [self._with(values) for values in parameters]
        controls = np.zeros((len(models), self._steps, self.model.nu))
        states = np.zeros((len(models), self._state_size))
        zero, play = parameters[:, :, 5], parameters[:, :, 6]
        begin = self.recording.q[0] - zero
        targets = np.stack([self._targets(values[:, 4]) for values in parameters])
        targets = _after_play(targets - zero[:, None], play / 2, begin)
        controls[:, :, self._actuators] = targets
        for k, model in enumerate(models):
            states[k] = self._start(model, begin[k])
        motion, _ = rollout.rollout(models, self._data, states, controls, persistent_pool=True)
        q = motion[:, :, 1 + self._q_at]
        speed = motion[:, :, 1 + self.model.nq + self._dofs]
        gain, damping = parameters[:, None, :, 0], parameters[:, None, :, 1]
        braking = np.minimum(self.hand.servos.braking, damping)
        # As in the simulation, torques are those from which a step began.
        before, speed = _before(q), _before(speed)
        torque = gain * (controls[:, :, self._actuators] - before) - braking * speed
        torque = np.clip(torque, -self._most, self._most)
        return np.stack(
            (
                self._sampled(q + zero[:, None, :]) / self.noise[:, 0],
                self._sampled(torque) / self.noise[:, 1] * self._felt,
            ),
            axis=-1,
        )

    @property
    def measured(self) -> Array:
        """Return the measurements, in units of their noise, (K, n, 2)."""
        felt = np.where(self._felt, self.recording.effort, 0.0)
        measured: Array = np.stack((self.recording.q, felt), axis=-1) / self.noise
        return measured

    def inverse(self, q: Array, speed: Array, pace: Array) -> Array:
        """Return the torques that move the links alone, (K, n) N m, without rotors and friction."""
        model, data = copy.copy(self.model), self._data[0]
        model.dof_armature[:], model.dof_damping[:] = 0.0, 0.0
        mujoco.mj_resetData(model, data)
        torques = np.empty_like(q)
        for k in range(len(q)):
            data.qpos[self._q_at], data.qvel[self._dofs] = q[k], speed[k]
            data.qacc[self._dofs] = pace[k]
            mujoco.mj_inverse(model, data)
            torques[k] = data.qfrc_inverse[self._dofs]
        return torques

    @property
    def _state_size(self) -> int:
        return int(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS))

    def _with(self, values: Array) -> mujoco.MjModel:
        gain, damping, friction, armature = values[:, :4].T.copy()
        # The loop's and the motor's parts of the damping are known; the rest is friction.
        braking = np.minimum(self.hand.servos.braking, damping)
        servos = replace(
            self.hand.servos,
            gain=gain,
            loop_damping=np.zeros_like(braking),
            back_emf=braking,
            viscous=damping - braking,
            coulomb=friction,
            armature=armature,
            supply=np.ones_like(gain),
        )
        return copy.copy(self._variant.set(World(servos)))

    def _start(self, model: mujoco.MjModel, q: Array) -> Array:
        data, state = self._data[0], np.zeros(self._state_size)
        mujoco.mj_resetData(model, data)
        data.qpos[self._q_at] = q
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        return state

    def _targets(self, delay: Array) -> Array:
        """Return the mean target of each joint in each step, (steps, n) rad.

        A mean over the step changes smoothly with the delay.
        """
        sent_at, sent = self.recording.sent_at, self.recording.sent
        edges = self._begin + self._timestep * np.arange(self._steps + 1)
        lengths = np.diff(sent_at)
        targets = np.empty((self._steps, sent.shape[1]))
        for j, late in enumerate(delay):
            # Integral of the target over time, linear between commands.
            integral = np.concatenate(([0.0], np.cumsum(sent[:-1, j] * lengths)))
            at = edges - late
            value = np.interp(at, sent_at, integral)
            value += np.minimum(at - sent_at[0], 0.0) * sent[0, j]
            value += np.maximum(at - sent_at[-1], 0.0) * sent[-1, j]
            targets[:, j] = np.diff(value) / self._timestep
        return targets

    def _sampled(self, q: Array) -> Array:
        """Interpolate motions at the times of the measurements."""
        place = (
            self.recording.read_at - self._begin
        ) / self._timestep - 1.0  # the first is after a step
        index = np.clip(np.floor(place).astype(np.int64), 0, q.shape[1] - 2)
        part = (place - index)[None, :, None]
        sampled: Array = q[:, index] * (1.0 - part) + q[:, index + 1] * part
        return sampled


def _after_play(targets: Array, half: Array, begin: Array) -> Array:
    """Return targets behind gears with play, (m, steps, n) rad.

    Args:
        targets: (m, steps, n) rad.
        half: (m, n) rad; half of the play.
        begin: (m, n) rad; angles at the beginning.
    """
    behind, at = np.empty_like(targets), begin
    low, high = targets - half[:, None], targets + half[:, None]
    for k in range(targets.shape[1]):
        at = np.minimum(np.maximum(at, low[:, k]), high[:, k])
        behind[:, k] = at
    return behind


def _before(values: Array) -> Array:
    """Return values one step earlier, (m, steps, n)."""
    return np.concatenate((values[:, :1], values[:, :-1]), axis=1)


def feels(recording: Recording) -> BoolArray:
    """Return which joints report their torque, (n,)."""
    known = np.isfinite(recording.effort).all(axis=0)
    return np.asarray(known & recording.effort.any(axis=0), dtype=np.bool_)


def first_guess(
    hand: Hand, recording: Recording, gain: float = 1.0, timestep: float = TIMESTEP
) -> Array:
    """Return rough parameters of a hand, (n, p).

    Gain and delay of a joint that reports its torque are those with which the torque is nearest to
    gain times error. Otherwise they are the described ones, with the gain times a factor.
    """
    own = hand.servos
    guess = np.stack(
        [
            own.stiffness * gain, own.damping * np.sqrt(gain), own.coulomb + 0.01, own.armature,
            own.delay, np.zeros(hand.n), own.backlash + PLAY,
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
    """Return a guess whose friction, damping and inertia are those of a regression, (n, p).

    The torque of a motor moves the links, whose share is known (inverse dynamics), and its own
    rotor against its friction: torque - links = armature qdd + damping qd + friction sign(qd).
    """
    recording, hand, better = model.recording, model.hand, guess.copy()
    felt = np.flatnonzero(feels(recording))
    time = np.arange(recording.read_at[0], recording.read_at[-1], SMOOTH_STEP)
    columns = [np.interp(time, recording.read_at, column) for column in recording.q.T]
    q, speed, pace = (
        savgol_filter(columns, SMOOTH_WINDOW, 3, deriv=d, delta=SMOOTH_STEP, axis=1).T
        for d in range(3)
    )
    links = model.inverse(q, speed, pace)
    braking = hand.servos.braking
    for j in felt:
        torque = np.interp(time, recording.read_at, recording.effort[:, j])
        torque = savgol_filter(torque, SMOOTH_WINDOW, 3)
        terms = np.stack((pace[:, j], speed[:, j], np.tanh(speed[:, j] / SLOW)), axis=1)
        found = lsq_linear(terms, torque - links[:, j], bounds=(0.0, np.inf)).x
        better[j, 3], better[j, 1], better[j, 2] = found
        better[j, 1] += braking[j]
    return np.clip(better, np.maximum(LOWER, LEAST), UPPER)


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

    value: Array  # (n, p)
    motion: Array  # (K, n, 2)
    slopes: list[Array]
    """For each finger of m joints (2 m K, m p); by parameters in units of SCALE."""


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
            known = np.tile(np.square(SCALE / prior), len(chain))
            pulled = known * (_apart(start.value[chain], value[chain]) / SCALE).ravel()
            lifted = square + np.diag(known + damping[c] * np.diag(square))
            change = np.linalg.solve(lifted, jacobian.T @ error + pulled)
            change = np.clip(change.reshape(len(chain), -1) * SCALE, -LONGEST, LONGEST)
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


def _moved(value: Array, change: Array) -> Array:
    """Return parameters, (..., p), after a change; those of POSITIVE change by a factor."""
    moved = value + change
    moved[..., :POSITIVE] = value[..., :POSITIVE] * np.exp(change[..., :POSITIVE])
    return moved


def _apart(one: Array, other: Array) -> Array:
    """Return the change from `other` to `one`, (..., p)."""
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
    """Simulate parameters, (n, p), and their derivatives."""
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
    motions = model.motions(np.stack(sets))[:, counted]
    slopes = []
    for chain in model.chains:
        columns = [
            (motions[1 + place * len(QUANTITIES) + p] - motions[0])[:, chain].ravel() / step
            for place in range(len(chain))
            for p in range(len(QUANTITIES))
        ]
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
        known = np.tile(np.square(SCALE / PRIOR), len(chain))
        inverse = np.linalg.inv(slopes[c].T @ slopes[c] + np.diag(known))
        covariance = inverse @ (sums.T @ sums) @ inverse
        covariance *= len(sums) / max(1, len(sums) - jacobian.shape[2])
        deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        error[chain] = deviations.reshape(len(chain), len(QUANTITIES)) * SCALE
    error = np.hypot(error, FLOOR)
    error[:, :POSITIVE] *= value[:, :POSITIVE]
    whole = model.motions(value[None])[0, :, :, 0] * model.noise[:, 0]
    residual = float(np.sqrt(np.square(whole - model.recording.q)[counted].mean()))
    return ServoFit(value, error, whole, residual, starts)


def safe_motion(
    hand: Hand, fixture: Fixture, wanted: Array, object_angle: float
) -> tuple[Array, Array]:
    """Return a centre, (n,) rad, and amplitudes, (n,) rad, of a motion that touches nothing.

    Args:
        hand: the hand.
        fixture: fixture below it.
        wanted: (n,) rad; largest amplitudes.
        object_angle: rad; angle at which the object stands.

    Raises:
        BadConfig: no such motion was found.
    """
    spec = build_spec(hand, fixture, SceneConfig())
    for geom in spec.geoms:
        geom.margin = MARGIN
    model = spec.compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    at = np.array([model.joint(name).qposadr[0] for name in hand.joints])
    data.qpos[model.joint(fixture.joint).qposadr[0]] = object_angle

    def touches(q: Array) -> bool:
        data.qpos[at] = q
        mujoco.mj_fwdPosition(model, data)
        return bool(data.ncon)

    middle = (hand.lower + hand.upper) / 2
    for part in PARTS:
        amplitude = np.minimum(wanted, 0.45 * (hand.upper - hand.lower)) * part
        for _ in range(CENTRES):
            toward, shift = rng.random(), rng.uniform(-1.5, 1.5, hand.n)
            centre = hand.nominal + toward * (middle - hand.nominal) + shift * amplitude
            centre = np.clip(centre, hand.lower + amplitude, hand.upper - amplitude)
            path = (hand.nominal + k * (centre - hand.nominal) for k in np.linspace(0, 1, 9))
            poses = (centre + amplitude * rng.uniform(-1, 1, hand.n) for _ in range(POSES))
            if not any(map(touches, path)) and not any(map(touches, poses)):
                return centre, amplitude
    raise BadConfig(
        f"the hand {hand.name} has no room to move above {fixture.name}, which stands at "
        f"{object_angle:.2f} rad; turn the object, or take it away"
    )
