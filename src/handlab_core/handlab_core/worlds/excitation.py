"""Motions that reveal the parameters of servos, and the recording of one."""

from dataclasses import dataclass

import numpy as np

from handlab_core.hands import Hand
from handlab_core.types import Array

DURATION = 60.0  # s
RATE = 100.0  # Hz
RAMP = 6.0
"""s; time in which the amplitude grows from nothing, so that a wrong setting shows early."""
SLOW = (0.1, 0.25)
"""Hz; frequencies of the slow sinusoids, which reveal gravity and dry friction."""
SWEEP, SWEEP_TIME = (0.3, 5.0), 10.0
"""Hz and s; range and length of the sweeps, which reveal inertia and damping."""
DWELL = (0.25, 0.8)
"""s; shortest and longest time between steps, which reveal the delay."""
PARTS = (0.5, 0.25, 0.25)
"""Shares of sinusoids, sweeps and steps in the amplitude."""
SPEED = 0.5  # rad/s; speed on the way to the first pose; chosen


@dataclass(frozen=True)
class Excitation:
    """Targets about a centre; a function of time."""

    centre: Array  # (n,) rad
    amplitude: Array  # (n,) rad; largest deviation from the centre
    targets: Array  # (K, n) rad, at RATE

    @property
    def duration(self) -> float:
        """Length, s."""
        return len(self.targets) / RATE


@dataclass(frozen=True)
class Recording:
    """Commands and measurements of one motion of n joints; times in s from its beginning."""

    sent_at: Array  # (K,) time of each command
    sent: Array  # (K, n) rad; targets as sent
    read_at: Array  # (K,) time of each measurement
    q: Array  # (K, n) rad
    effort: Array  # (K, n) N m


def excite(hand: Hand, centre: Array, amplitude: Array, seed: int, duration: float) -> Excitation:
    """Build an excitation within the hand's commanded range.

    Args:
        hand: the hand.
        centre: (n,) rad; pose about which the joints move.
        amplitude: (n,) rad; largest deviation.
        seed: of phases and steps.
        duration: s.
    """
    rng, n = np.random.default_rng(seed), hand.n
    t = np.arange(round(duration * RATE))[:, None] / RATE
    slow = np.sin(2 * np.pi * (rng.uniform(*SLOW, n) * t + rng.random(n)))
    low, high = SWEEP
    # Phase of a sweep whose frequency grows by the same factor in equal times.
    growth = np.log(high / low)
    place = (t + SWEEP_TIME * rng.random(n)) % SWEEP_TIME / SWEEP_TIME
    phase = low * SWEEP_TIME * (np.exp(growth * place) - 1.0) / growth
    sweep = np.sin(2 * np.pi * (phase + rng.random(n)))
    steps = np.stack([_steps(rng, t[:, 0]) for _ in range(n)], axis=1)
    parts = PARTS[0] * slow + PARTS[1] * sweep + PARTS[2] * steps
    grown = np.minimum(t / min(RAMP, duration / 4), 1.0)
    targets = np.clip(centre + amplitude * grown * parts, hand.lower, hand.upper)
    return Excitation(centre, amplitude, targets)


def approach(start: Array, end: Array) -> Array:
    """Return targets from one pose to another at SPEED, (K, n) rad at RATE."""
    count = max(1, int(np.ceil(np.abs(end - start).max() / SPEED * RATE)))
    part = np.arange(1, count + 1)[:, None] / count
    targets: Array = start + (end - start) * part
    return targets


def _steps(rng: np.random.Generator, t: Array) -> Array:
    """Return a signal that jumps between random levels in [-1, 1], (K,)."""
    longest = int(t[-1] / DWELL[0]) + 2
    ends = np.cumsum(rng.uniform(*DWELL, longest))
    levels = rng.uniform(-1.0, 1.0, longest)
    jumps: Array = levels[np.searchsorted(ends, t)]
    return jumps
