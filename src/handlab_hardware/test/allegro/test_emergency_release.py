"""Emergency release of an Allegro hand."""

import signal
import subprocess
import sys
import time

import pytest

from handlab_hardware.allegro.emergency_release import let_go
from handlab_hardware.allegro.protocol import Frame, Message, frame_id, make_version

FRAME = Frame(frame_id(Message.SYSTEM_ON, 0))


DRIVER = """
import sys, time
import numpy as np
from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.types import Command
from handlab_hardware.allegro.backend import AllegroBackend
from handlab_hardware.allegro.config import AllegroConfig
hand = make_hand("allegro")
backend = AllegroBackend(hand, AllegroConfig("udp_multicast", sys.argv[1]))
while True:
    try:
        backend.activate()
        break
    except StationFault:  # a busy machine
        pass
print("active", flush=True)
while True:  # torque at any time
    q = hand.nominal + 0.3 * np.sin(20 * time.monotonic())
    backend.step(Command(q[None], hand.max_effort[None]), None, 0.01)
    time.sleep(0.01)
"""


def test_a_hand_is_let_go_when_its_driver_stands_still_or_is_killed(group, wait_for, emulate):
    """The hand itself would hold the last torque for ever."""
    hand, _, _ = emulate("udp_multicast", group(7))

    def driven():
        return hand.servo_on and hand.counts.any()

    def limp():
        return not hand.servo_on and not hand.counts.any()

    words = [sys.executable, "-c", DRIVER, group(7)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout.readline() == "active\n"
            wait_for(driven, 20.0)
            time.sleep(3.0)  # its guardian has been started, too
            driver.send_signal(signal.SIGSTOP)
            wait_for(limp, 2.0)
            driver.send_signal(signal.SIGCONT)
            wait_for(driven, 20.0)
            driver.kill()
            wait_for(limp, 2.0)
        finally:
            driver.kill()


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_letting_go_from_outside_takes_all_torque_back(group, wait_for, emulate, version):
    hand, _, wire = emulate("udp_multicast", group(8), version=make_version(version), device=2)
    wire.send(FRAME)  # an echo of what hosts send disturbs nothing
    hand.receive(Frame(frame_id(Message.SYSTEM_ON, 2)))
    hand.receive(Frame(frame_id(Message.SET_TORQUE, 2), b"\x40\0" * 4))
    assert hand.servo_on and hand.counts.any()
    let_go(f"udp_multicast:{group(8)}", "2")
    wait_for(lambda: not hand.servo_on and not hand.counts.any())


def test_letting_go_says_when_the_bus_is_gone():
    with pytest.raises(OSError, match="cannot open the CAN bus no_such_bus"):
        let_go("socketcan:no_such_bus", "0")
