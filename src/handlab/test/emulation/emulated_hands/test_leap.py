"""A hand that is one description and one station file works down to the wire."""

import time

import numpy as np

from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command
from handlab_hardware.dynamixel.backend import DynamixelBackend
from handlab_hardware.station_file import load_station, station_path

PERIOD = 0.02  # s
PATIENCE = 60.0  # s
NEAR = 0.035
"""rad; less than half of what two motions of one direction differ by; the weight bends joints."""


def test_each_servo_of_the_leap_hand_moves_its_own_joint(tmp_path):
    hand, fixture, path = make_hand("leap"), FIXTURES.make("valve"), station_path("leap")
    # Every joint gets a motion of its own, so that no two servos can stand for each other.
    target = hand.nominal + np.linspace(0.05, 0.5, hand.n) * np.where(np.arange(16) % 2, 1, -1)
    assert ((hand.lower < target) & (target < hand.upper)).all()
    with emulate_dynamixel(path, tmp_path / "port") as port:
        servos = DynamixelBackend(hand, fixture, load_station(path, True, port.name))
        backend = ClampedBackend(hand, fixture, servos)
        servos.activate()
        command = Command(target[None], hand.max_effort[None])
        end = time.monotonic() + PATIENCE
        worst = np.inf
        while worst > NEAR and time.monotonic() < end:
            reading = backend.step(command, None, PERIOD)
            worst = np.abs(reading.hand.q[0] - target).max()
            time.sleep(PERIOD)
        backend.close()
    assert worst <= NEAR, reading.hand.q[0] - target
