"""The driver dies or stands still and the hand is let go; an orderly end disturbs no one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from handlab_core.errors import StationFault
from handlab_hardware import guardian
from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.guardian import Guardian

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32, 50)


DRIVER = """
import select, sys, time
from handlab_core.hardware.backend import make_backend
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.hands import make_hand
from handlab_core.types import Command
backend = make_backend("dynamixel", hand="claw", fixture="valve", port=sys.argv[1])
hand = make_hand("claw")
station = ClampedBackend(hand, FIXTURES.make("valve"), backend)
backend.activate()
print("active", flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    station.step(Command(hand.nominal[None], hand.max_effort[None]), None, 0.01)
    reported = [p for p in backend.motor_status.problems if "stood still" in p]
    if reported and reported != seen:
        print(reported[0], flush=True)
    seen = reported
station.close()
""".replace('print("active"', 'seen = []\nprint("active"')


def start_driver(port):
    words = [sys.executable, "-c", DRIVER, port]
    driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "active\n"
    return driver


def engaged(port):
    return {servo.table.get("torque_enable") for servo in port.bus.servos[:9]}


def wait_until(done, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return done()


def test_a_driver_that_is_killed_lets_the_hand_go(tmp_path):
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        driver = start_driver(port.name)
        assert engaged(port) == {1}
        driver.kill()
        driver.wait()
        assert wait_until(lambda: engaged(port) == {0})


SLOW_START = """
import pathlib, sys, time
if "handlab_hardware.guardian" in sys.orig_argv:
    time.sleep(1.0)
    pathlib.Path({path!r}).touch()
"""


def test_no_motor_is_engaged_before_its_guardian_listens(tmp_path, monkeypatch):
    """A driver that is stopped at once would leave the hand engaged until the guardian starts."""
    started = tmp_path / "started"
    (tmp_path / "sitecustomize.py").write_text(SLOW_START.format(path=str(started)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        words = [sys.executable, "-c", DRIVER, port.name]
        driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert wait_until(lambda: engaged(port) == {1})
        assert started.exists()
        driver.communicate("\n", timeout=60.0)


def test_a_guardian_that_does_not_start_is_a_fault(monkeypatch):
    one = Guardian("no_such_module:let_go", "port")
    with pytest.raises(StationFault, match="guardian of the motors does not start"):
        one.await_ready()
    one.dismiss()


def test_a_driver_that_stands_still_lets_the_hand_go_and_says_so_when_it_wakes(tmp_path):
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        driver = start_driver(port.name)
        assert wait_until(lambda: engaged(port) == {1})
        driver.send_signal(signal.SIGSTOP)
        assert wait_until(lambda: engaged(port) == {0})
        time.sleep(1.0)
        positions = [servo.table.get("present_position") for servo in port.bus.servos]
        assert engaged(port) == {0}
        driver.send_signal(signal.SIGCONT)
        assert "stood still" in driver.stdout.readline()
        assert wait_until(lambda: engaged(port) == {1})
        time.sleep(0.5)
        assert engaged(port) == {1}  # the guardian does not fight it
        moved = [s.table.get("present_position") - p
                 for s, p in zip(port.bus.servos, positions, strict=True)]  # fmt: skip
        assert max(map(abs, moved)) < 4096  # see the test through the graph for how fast
        driver.communicate("\n", timeout=60.0)
        assert driver.returncode == 0 and engaged(port) == {0}


def test_a_driver_that_ends_in_order_dismisses_its_guardian(tmp_path):
    with emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl")) as port:
        driver = start_driver(port.name)
        driver.communicate("\n", timeout=60.0)
        assert driver.returncode == 0
        assert engaged(port) == {0}
        again = start_driver(port.name)
        time.sleep(1.0)  # a guardian left behind would have struck by now
        assert engaged(port) == {1}
        again.communicate("\n", timeout=60.0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A guardian that notes in a file that it let go."""
    (tmp_path / "noting.py").write_text("import pathlib\ndef let_go(path):\n"
                                        " with open(path, 'a') as f: f.write('x')\n")  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    note, clock = tmp_path / "note", Clock()
    one = Guardian("noting:let_go", str(note), clock=clock)
    one.await_ready()
    yield one, note, clock
    one.dismiss()


def test_beats_keep_the_guardian_quiet(watched):
    one, note, clock = watched
    began = time.monotonic()
    while time.monotonic() - began < guardian.LATE + 0.5:
        clock.now += guardian.BEAT_PERIOD
        assert not one.beat()
        time.sleep(0.05)
    assert not note.exists() and one.replaced == 0


def test_after_a_standstill_the_driver_learns_what_happened_and_the_guardian_is_quiet(watched):
    one, note, clock = watched
    assert wait_until(note.exists)
    clock.now += 5.0
    assert one.beat()
    size = note.stat().st_size
    time.sleep(0.3)
    assert note.stat().st_size == size  # from the answer on
    clock.now += guardian.BEAT_PERIOD
    assert not one.beat()


def test_a_short_pause_is_no_standstill(watched):
    one, note, clock = watched
    clock.now += guardian.AWAY
    assert not one.beat() and not note.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_guardian_that_does_not_answer_is_replaced(watched, number):
    one, note, clock = watched
    first = one._process.pid
    os.kill(first, number)
    time.sleep(0.1)
    clock.now += guardian.AWAY
    assert one.beat()  # the new guardian has no record
    assert one.replaced == 1 and one._process.pid != first
    assert wait_until(note.exists)  # by the new one, since no more beats come


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_all_processes_leave_the_guardian_at_its_post(watched, number):
    one, note, clock = watched
    clock.now += guardian.AWAY
    assert not one.beat()  # it has answered, so it listens
    one._process.send_signal(number)
    assert wait_until(note.exists)
