"""Find servos that are weak, loose or dead.

The position loop of a servo makes its torque from its error e = target - q:

    healthy   torque = gain e - damping qd
    weak      torque = part gain e - damping qd, dead if hardly a part is left
    loose     torque = gain (e - play / 2 sign(e)) - damping qd, while |e| > play / 2

Torque, angle and velocity are measured and the target is known. Least-squares fits over the newest
motion tell which of these laws explains the torque of a joint.

A cycle that comes late spoils the fits around it, since nobody knows when its target acted; such
cycles are left out, and a finding needs more fits in a row than one disturbance lasts.

The gains of a healthy hand are those that `identify` has measured, or else those of its first
motion. A joint that does not move shows nothing, and a stiff servo that turns freely shows little.
Contacts do not matter, since they change the error and the torque alike.
"""

from collections import deque

import numpy as np

from handlab_core.types import Array, BoolArray

MEMORY = 0.6
"""s; time constant with which older motion is forgotten; chosen, an eighth of the 5 s in which a
change is to be noticed."""

LAGS = 4
"""Number of newest targets. Two neighbours of them explain the torque best, since a target acts
late, also by a fraction of a cycle. Chosen: up to 30 ms at 100 Hz."""

EVERY = 0.25  # s; time between two fits

LEAST_TIME = 0.6  # s; motion from which a fit counts

LEAST_ERROR, LEAST_RATIO = 0.015, 5.0
"""rad, and in units of the unexplained error; smallest error from which a fit counts, root of the
mean square. Noise of the angle makes a gain look smaller. Chosen: ten steps of an encoder."""

LEARNED = 8
"""Number of fits from which the gain of a joint counts as known: two seconds of motion."""

REST_SPEED, REST_PERIOD = 0.05, 0.05
"""rad/s, and s; a slower hand whose targets stay is at rest and is looked at less often, to save
time. Chosen: two steps of the measured velocity."""

SATURATED = 0.9
"""Fraction of the largest torque from which on a cycle is left out."""

WEAK, DEAD = 0.82, 0.2
"""Parts of the healthy gain below which a motor is weak, and dead. Chosen: a loss of 30 % is
noticed, the 10 % of a hot motor are not."""

LOOSE, LOOSE_RATIO = 0.02, 2.0
"""rad, and in units of the unexplained error; half of the play from which a joint is loose. Chosen:
a healthy gear has 0.005 rad from end to end."""

HOLD = 6
"""Number of fits in a row, each with new motion, after which a joint is weak, dead or loose. A
moment at which servos got their targets late spoils the fits of a second; wear stays."""

LATE = 1.5
"""Time since the last cycle, in units of the usual time, from which a cycle is late. When targets
before it acted is not known, so the next fits begin after it."""

FOLLOW = 0.05
"""Part of a new time since the last cycle in the usual one; chosen, 0.2 s to follow at 100 Hz."""

EDGE = 0.01
"""rad; smaller errors count as partly on either side of the play; chosen."""

FEATURES = 4  # mean and difference of two errors, velocity, sign of the error
FREE, FIXED = slice(0, 3), slice(1, 4)
"""Features of a servo whose gain is sought, and of one whose play is."""

RIDGE = 1e-7  # the two errors may be equal for a long time


class ServoMonitor:
    """Follows the servos of n joints.

    Args:
        limit: (n,) N m; largest torques.
        gain: (n,) N m/rad; gains of the healthy joints; NaN: learn them from the first motion.
    """

    def __init__(self, limit: Array, gain: Array) -> None:
        n = len(limit)
        self._limit, self._known = limit, gain.copy()
        self._rest = np.full(n, np.nan)  # rad; unexplained error of the healthy joints
        self._fits: list[list[tuple[float, float]]] = [[] for _ in range(n)]
        """Gains, N m/rad, and rests, N m, until both are known."""
        self._targets: deque[Array] = deque(maxlen=LAGS)
        self._squares = np.zeros((LAGS - 1, n, FEATURES, FEATURES))
        self._products = np.zeros((LAGS - 1, n, FEATURES))
        self._torques, self._time, self._new = np.zeros((3, n))
        self._left, self._elapsed = EVERY, 0.0  # s; until the next fit, and since the last cycle
        self._usual = 0.0  # s; time from one cycle to the next
        self._seen = np.zeros((n, 3), dtype=np.int64)  # fits in a row: weak, dead, loose
        self.strength = np.ones(n)
        """(n,) present gains as parts of the healthy ones; 1 where not known."""
        self.play = np.zeros(n)
        """(n,) rad; play of loose joints, end to end, as far as it was seen."""
        self.weak, self.dead, self.loose = np.zeros((3, n), dtype=bool)
        """(n,) findings."""

    def observe(
        self, dt: float, target: Array, q: Array, qd: Array, torque: Array, valid: BoolArray
    ) -> None:
        """Take one cycle of all joints, (n,) each.

        Args:
            dt: s; time since the last cycle.
            target: rad; targets of this cycle.
            q: rad; measured angles.
            qd: rad/s; measured velocities.
            torque: N m; measured torques.
            valid: whether each joint is engaged, and was measured in this cycle.
        """
        if dt > LATE * self._usual:
            self._targets.clear()
        self._usual += FOLLOW * (dt - self._usual)
        same = bool(self._targets) and np.array_equal(target, self._targets[0], equal_nan=True)
        self._targets.appendleft(target.copy())
        resting = same and not (np.abs(qd) > REST_SPEED).any()
        self._elapsed += dt
        if len(self._targets) < LAGS or (resting and self._elapsed < REST_PERIOD):
            return
        dt, self._elapsed = self._elapsed, 0.0
        errors = np.stack(self._targets) - q
        good = valid & (np.abs(torque) < SATURATED * self._limit)
        good &= np.isfinite(errors).all(axis=0) & np.isfinite(torque + qd)
        mean, change = (errors[:-1] + errors[1:]) / 2, errors[:-1] - errors[1:]
        speed = np.broadcast_to(qd, mean.shape)
        side = np.tanh(mean / EDGE)
        features = np.stack((mean, change, speed, side), axis=-1)
        features[:, ~good] = 0.0
        torque = np.where(good, torque, 0.0)
        kept = np.where(good, np.exp(-dt / MEMORY), 1.0)
        self._squares *= kept[:, None, None]
        self._squares += dt * features[..., :, None] * features[..., None, :]
        self._products *= kept[:, None]
        self._products += dt * features * torque[:, None]
        self._torques = kept * self._torques + dt * torque * torque
        self._time = kept * self._time + dt * good
        self._new += dt * good
        self._left -= dt
        if self._left <= 0.0:
            self._left = EVERY
            self._fit()

    def _fit(self) -> None:
        """Fit both laws to all joints, and judge those that moved enough."""
        squares = self._squares + RIDGE * np.eye(FEATURES)
        products, torques = self._products, self._torques
        time, joints = np.maximum(self._time, RIDGE), np.arange(len(self._time))
        counts = time > MEMORY * (1.0 - np.exp(-LEAST_TIME / MEMORY))

        inverse = _inverse(squares[..., FREE, FREE])
        free, rests = _solved(inverse, products[..., FREE], torques)
        best = rests.argmin(axis=0)
        # The part of the error that velocity and changes do not explain shows the gain.
        error = np.sqrt(1.0 / inverse[best, joints, 0, 0] / time)
        rest, gain = np.sqrt(rests[best, joints] / time), free[best, joints, 0]

        known: Array = np.where(np.isnan(self._known), 0.0, self._known)
        inverse = _inverse(squares[..., FIXED, FIXED])
        left: Array = products[..., FIXED] - known[:, None] * squares[..., FIXED, 0]
        remaining: Array = torques - known * (2 * products[..., 0] - known * squares[..., 0, 0])
        fixed, rests = _solved(inverse, left, remaining)
        best = rests.argmin(axis=0)
        loose, lost = np.sqrt(rests[best, joints] / time), -fixed[best, joints, -1]
        counts &= self._new >= EVERY / 2
        self._new[:] = 0.0
        for i in np.flatnonzero(counts & (error > LEAST_ERROR)):
            if np.isnan(self._known[i]) or np.isnan(self._rest[i]):
                self._learn(int(i), float(gain[i]), float(rest[i]), float(error[i]))
            if not np.isnan(self._known[i]):
                strength, unexplained, half, others = (
                    float(value[i] / self._known[i]) for value in (gain, rest, lost, loose)
                )
                self._judge(int(i), strength, unexplained, half, others, float(error[i]))

    def _judge(
        self, i: int, strength: float, rest: float, half: float, loose_rest: float, error: float
    ) -> None:
        """Compare a joint with its healthy state.

        Args:
            i: index of the joint.
            strength: gain as a part of the healthy one.
            rest: rad; error that this gain leaves unexplained.
            half: rad; half of the play, if the gain is the healthy one.
            loose_rest: rad; error that this play leaves unexplained.
            error: rad; error that shows the gain.
        """
        self.strength[i] = max(strength, 0.0)
        own = np.nan_to_num(self._rest[i])
        play = half > LOOSE and loose_rest < rest and half > LOOSE_RATIO * (loose_rest - own)
        clear = error > LEAST_RATIO * rest and not play
        dead = clear and strength < DEAD
        weak = clear and strength < WEAK and not dead
        self._seen[i] = (self._seen[i] + 1) * (weak, dead, play)
        self.weak[i], self.dead[i], self.loose[i] = self._seen[i] >= HOLD
        self.play[i] = 2 * half if self.loose[i] else 0.0

    def _learn(self, i: int, gain: float, rest: float, error: float) -> None:
        """Learn the healthy state of a joint from a fit without much noise."""
        if gain <= 0.0 or error <= LEAST_RATIO * rest / gain:
            return
        self._fits[i].append((gain, rest))
        if len(self._fits[i]) < LEARNED:
            return
        gain, rest = np.median(self._fits[i], axis=0).tolist()
        if np.isnan(self._known[i]):
            self._known[i] = gain
        self._rest[i] = min(rest / self._known[i], LOOSE / 2)
        self._fits[i].clear()


def _inverse(squares: Array) -> Array:
    """Return inverse matrices."""
    return np.asarray(np.linalg.inv(squares), dtype=np.float64)


def _solved(inverse: Array, products: Array, torques: Array) -> tuple[Array, Array]:
    """Return solutions of normal equations, (L, n, f), and sums of squared rests, (L, n)."""
    found = np.einsum("lnfg,lng->lnf", inverse, products)
    rests = torques - np.einsum("lnf,lnf->ln", found, products)
    return found, np.maximum(rests, 0.0)
