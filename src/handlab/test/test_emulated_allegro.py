"""An Allegro hand from the backend down to the wire, with MuJoCo behind the emulated firmware."""

import threading
import time

import numpy as np
import pytest

from handlab_core.fixtures import FIXTURES
from handlab_core.hands import make_hand
from handlab_core.types import Command
from handlab_hardware.allegro.backend import AllegroHand
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.emulator import EmulatedHand, serve
from handlab_hardware.allegro.wire import Wire
from handlab_sim.torque_world import TorqueWorld
from handlab_sim.worlds import Worlds

CHANNEL = "emulated_allegro"
HAND, VALVE = make_hand("allegro"), FIXTURES.make("valve")


@pytest.fixture
def backend():
    wire, stop = Wire("virtual", CHANNEL), threading.Event()
    emulated = EmulatedHand(wire.send, TorqueWorld(HAND, VALVE))
    thread = threading.Thread(target=serve, args=(emulated, wire, stop))
    thread.start()
    backend = AllegroHand(HAND, AllegroConfig("virtual", CHANNEL))
    backend.activate()
    yield backend
    backend.close()
    stop.set()
    thread.join()
    wire.close()


def test_a_pose_is_held_as_in_the_world_that_policies_learn_in(backend):
    """Gravity and contacts included, the joints come to stand where those of `Worlds` do."""
    target = np.clip(HAND.nominal + 0.15, HAND.lower, HAND.upper)[None]
    command = Command(target, HAND.max_effort[None])
    worlds = Worlds(HAND, VALVE)
    for _ in range(20):
        expected = worlds.step(command, None, 0.1).hand
    deadline, worst = time.monotonic() + 10.0, np.inf
    while worst > np.deg2rad(1.0) and time.monotonic() < deadline:  # a busy machine is late
        measured = backend.step(command, None, 0.01).hand
        worst = np.abs(measured.q - expected.q).max()
        time.sleep(0.01)
    assert worst <= np.deg2rad(1.0)
    assert np.abs(measured.q - target).max() < np.deg2rad(3.0)
