"""Fixtures: emulated hands on buses of python-can."""

import os
import threading
import time

import pytest

from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.emulator import EmulatedHand, serve


@pytest.fixture(scope="session")
def group():
    """Function of a number that returns a multicast address of this process."""
    return lambda number: f"239.75.{os.getpid() % 250}.{number}"


@pytest.fixture(scope="session")
def wait_for():
    """Function that waits for a condition, and fails without it."""

    def wait_for(condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert condition()

    return wait_for


@pytest.fixture
def emulate():
    """Function that starts an emulated hand and returns it, its thread and its bus."""
    running = []

    def start(interface, channel, **options):
        wire, stop = CanBus(interface, channel), threading.Event()
        hand = EmulatedHand(wire.send, **options)
        thread = threading.Thread(target=serve, args=(hand, wire, stop))
        thread.start()
        running.append((stop, thread, wire))
        return hand, thread, wire

    yield start
    for stop, thread, wire in running:
        stop.set()
        thread.join()
        wire.close()
