"""The driver's process dies, and the hand is let go; it ends in order, and nobody interferes."""

import subprocess
import sys
import time

from handlab_hardware.dynamixel import guardian
from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.dynamixel.emulator.packet import Parser
from handlab_hardware.dynamixel.registers import REGISTERS

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32, 50)

DRIVER = """
import sys, time
from handlab_hardware.dynamixel.backend import make_backend
station = make_backend("claw", "valve", port=sys.argv[1])
station.activate()
print("active", flush=True)
sys.stdin.read()
station.close()
"""


def start_driver(port):
    words = [sys.executable, "-c", DRIVER, port]
    driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "active\n"
    return driver


def engaged(port):
    return {servo.table.get("torque_enable") for servo in port.bus.servos[:9]}


def wait_until(done, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()


def test_the_packet_is_one_that_servos_understand():
    [instruction] = Parser().feed(guardian.release_all())
    address = REGISTERS["torque_enable"].address
    assert instruction.intact
    assert instruction.params == address.to_bytes(2, "little") + b"\0"


def test_a_driver_that_is_killed_lets_the_hand_go(tmp_path):
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        driver = start_driver(port.name)
        assert engaged(port) == {1}
        driver.kill()
        driver.wait()
        assert wait_until(lambda: engaged(port) == {0})


def test_a_driver_that_ends_in_order_dismisses_its_guardian(tmp_path):
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        driver = start_driver(port.name)
        driver.communicate("", timeout=10.0)
        assert driver.returncode == 0
        assert engaged(port) == {0}
        again = start_driver(port.name)
        time.sleep(1.0)  # a guardian left behind would have struck by now
        assert engaged(port) == {1}
        again.communicate("", timeout=10.0)
