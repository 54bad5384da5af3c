"""The way of commands to the servos and of measurements back, for N worlds at once.

A command is lost or arrives; then it is shifted by the encoders' zero errors, rounded to steps of
the encoder, and loses the play of the gears. A measurement ages by the latency at the present
velocity, gets noise, is shifted and rounded, and is lost or arrives.
"""

from collections.abc import Sequence

import numpy as np

from handlab_core.types import Array, BoolArray, Command, IntArray, JointState
from handlab_core.worlds.world import World

DRAWS = 128
"""Number of control periods after which noise, jitter and losses of an episode repeat; longer than
an episode of any task."""


class SignalPath:
    """Errors of the signals of N worlds; arrays have one row for each world.

    Args:
        worlds: parameters of each world.
        ranges: (n,) rad; commanded range of each joint.
    """

    def __init__(self, worlds: Sequence[World], ranges: Array) -> None:
        servos, signals = [world.servos for world in worlds], [world.signals for world in worlds]
        self._delay = np.stack([servo.delay for servo in servos])
        self._zero = np.stack([servo.zero for servo in servos])
        self._resolution = np.stack([servo.resolution for servo in servos])
        self._play = np.stack([servo.backlash for servo in servos]) / 2
        self._latency = np.array([[signal.latency] for signal in signals])
        self._jitter = np.array([[signal.jitter] for signal in signals])
        self._loss = np.array([[signal.loss] for signal in signals])
        noise = np.array([[signal.noise] for signal in signals])
        n = len(ranges)
        self._amplitude = np.concatenate(
            (noise * ranges, [[signal.object_noise] for signal in signals]), axis=1
        )
        # Noise of joints and object, then the further delay, then losses of command and reading.
        self._draws = np.stack(
            [
                np.random.default_rng(signal.stream).random((DRAWS, n + 4)) if not signal.clean
                else np.zeros((DRAWS, n + 4))
                for signal in signals
            ],
            axis=1,
        )  # fmt: skip
        self._count = np.zeros(len(worlds), dtype=np.int64)
        shape = (len(worlds), n)
        self._sent, self._at, self._q = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._fixture = np.zeros((len(worlds), 1))
        self._continuous = self._resolution == 0.0
        self._per_rad = 1.0 / np.where(self._continuous, 1.0, self._resolution)
        self._rounded, self._mixed = not self._continuous.all(), bool(self._continuous.any())

    def place(
        self, rows: IntArray | slice, hand: JointState, fixture: JointState
    ) -> tuple[JointState, JointState]:
        """Begin again in some worlds, at rest in a state; return its measurements."""
        self._count[rows] = 0
        q = hand.q + self._zero[rows]
        self._sent[rows], self._at[rows] = q, hand.q
        self._q[rows], self._fixture[rows] = q, fixture.q
        measured = self.measure(hand, fixture, rows)
        self._count[rows] = 0
        return measured

    def command(self, command: Command, rows: IntArray | slice) -> tuple[Array, Array]:
        """Take a command; return the motors' targets and the delays until they hold.

        Returns:
            Targets, (N, n) rad, and delays, (N, n) s, one row for each of `rows`.
        """
        draws = self._drawn(rows)
        lost = draws[:, -2:-1] < self._loss[rows]
        sent = np.where(lost, self._sent[rows], command.q)
        self._sent[rows] = sent
        target = self._steps(sent, rows) - self._zero[rows]
        play, at = self._play[rows], self._at[rows]
        at = np.minimum(np.maximum(at, target - play), target + play)
        self._at[rows] = at
        return at, self._delay[rows] + self._jitter[rows] * draws[:, -3:-2]

    def measure(
        self, hand: JointState, fixture: JointState, rows: IntArray | slice
    ) -> tuple[JointState, JointState]:
        """Return the measurements of a state, and count the control period."""
        draws, latency, amplitude = self._drawn(rows), self._latency[rows], self._amplitude[rows]
        noise = (draws[:, :-3] - 0.5) * amplitude
        q = hand.q - latency * hand.qd + noise[:, :-1] + self._zero[rows]
        angle = fixture.q - latency * fixture.qd + noise[:, -1:]
        lost: BoolArray = draws[:, -1:] < self._loss[rows]
        q = np.where(lost, self._q[rows], self._steps(q, rows))
        angle = np.where(lost, self._fixture[rows], angle)
        self._q[rows], self._fixture[rows] = q, angle
        self._count[rows] += 1
        return (
            JointState(hand.stamp, q, hand.qd, hand.effort),
            JointState(fixture.stamp, angle, fixture.qd, fixture.effort),
        )

    def _drawn(self, rows: IntArray | slice) -> Array:
        """Return the uniform numbers of the present control period, (N, n + 4)."""
        count = self._count[rows]
        worlds = np.arange(len(self._count))[rows]
        drawn: Array = self._draws[count % DRAWS, worlds]
        return drawn

    def _steps(self, q: Array, rows: IntArray | slice) -> Array:
        """Round angles to the steps of the encoders; a resolution of 0 is continuous."""
        if not self._rounded:
            return q
        rounded: Array = np.rint(q * self._per_rad[rows]) * self._resolution[rows]
        return np.where(self._continuous[rows], q, rounded) if self._mixed else rounded
