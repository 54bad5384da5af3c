"""A second simulator: joints are at once where they are sent. Serves `test_second_simulator`."""

import numpy as np

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import NS_PER_S, JointState, Reading


class KinematicBackend:
    """Implements `handlab_core.hardware.backend.Backend` without dynamics."""

    def __init__(self, hand, fixture, num_envs, begin):
        self.num_envs = num_envs
        self._nominal = hand.nominal
        self._q = np.tile(hand.nominal, (num_envs, 1))
        self._object = np.zeros((num_envs, len([fixture.joint])))
        self._time_ns = np.full(num_envs, round(begin * NS_PER_S), dtype=np.int64)

    def reset(self, robots=None, object_angle=0.0):
        rows = slice(None) if robots is None else robots
        self._q[rows], self._object[rows, 0] = self._nominal, object_angle
        self._time_ns[rows] += NS_PER_S
        return self._reading(rows)

    def step(self, hand, fixture, period, robots=None):
        rows = slice(None) if robots is None else robots
        self._q[rows] = np.where(hand.effort > 0, hand.q, self._q[rows])
        if fixture is not None:
            self._object[rows] = np.where(fixture.effort > 0, fixture.q, self._object[rows])
        self._time_ns[rows] += round(period * NS_PER_S)
        return self._reading(rows)

    def read(self):
        return self._reading(slice(None))

    def close(self):
        pass

    def _reading(self, rows):
        stamp = self._time_ns[rows] / NS_PER_S
        states = [
            JointState(stamp, q[rows].copy(), np.zeros_like(q[rows]), np.zeros_like(q[rows]))
            for q in (self._q, self._object)
        ]
        return Reading(*states)


def make_backend(hand, fixture, num_envs=1, threads=1, worlds=None, after=None):
    return KinematicBackend(make_hand(hand), FIXTURES.make(fixture), num_envs, after or 0.0)
