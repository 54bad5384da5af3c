"""The Allegro backend on python-can's virtual bus, with the emulated hand in a thread."""

import signal
import subprocess
import sys
import threading
import time
import uuid

import numpy as np
import pytest

from handlab_core.errors import BadConfig, StationFault, StationTimeout, UnknownName
from handlab_core.hands import make_hand
from handlab_core.hardware.backend import Backend, Hardware
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command
from handlab_hardware.allegro import backend as module
from handlab_hardware.allegro.backend import AllegroBackend, make_backend
from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.emulator import EmulatedHand, serve
from handlab_hardware.allegro.protocol import make_version

PERIOD = 0.01
HAND = make_hand("allegro")


@pytest.fixture
def emulate():
    """Start emulated hands; each gives itself and the channel it is on."""
    running = []

    def start(**options):
        channel = uuid.uuid4().hex
        wire = CanBus("virtual", channel)
        hand, stop = EmulatedHand(wire.send, **options), threading.Event()
        thread = threading.Thread(target=serve, args=(hand, wire, stop))
        thread.start()
        running.append((stop, thread, wire))
        return hand, channel

    yield start
    for stop, thread, wire in running:
        stop.set()
        thread.join()
        wire.close()


@pytest.fixture
def opened():
    """Open backends that are closed at the end."""
    backends = []

    def open_(channel, **config):
        backends.append(AllegroBackend(HAND, AllegroConfig("virtual", channel, **config)))
        return backends[-1]

    yield open_
    for backend in backends:
        backend.close()


def drive(backend, target, seconds):
    command = Command(np.asarray(target)[None], HAND.max_effort[None])
    readings = []
    for _ in range(round(seconds / PERIOD)):
        readings.append(backend.step(command, None, PERIOD))
        time.sleep(PERIOD)
    return readings


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_four_verbs(emulate, opened):
    _, channel = emulate()
    backend: Backend = opened(channel)
    assert backend.num_envs == 1 and isinstance(backend, Hardware)
    reading = backend.read()
    for value in (reading.hand.q, reading.hand.qd, reading.hand.effort):
        assert value.shape == (1, 16) and np.isfinite(value).all()
    np.testing.assert_allclose(reading.hand.q[0], HAND.nominal, atol=1e-3)
    for value in (reading.fixture.q, reading.fixture.qd, reading.fixture.effort):
        assert value.shape == (1, 1) and np.isnan(value).all()
    assert reading.fixture.stamp.tolist() == [0.0]
    with pytest.raises(StationFault, match="reset that moves"):
        backend.reset()
    with pytest.raises(StationFault, match="power off and on"):
        backend.reboot("ffj0")
    with pytest.raises(UnknownName):
        backend.reboot("FFJ10")
    with pytest.raises(StationFault, match="zeros"):
        backend.calibrate()
    backend.close()
    backend.close()


def test_a_pose_is_reached_behind_the_guard(emulate, opened):
    emulated, channel = emulate()
    backend = opened(channel)
    backend.activate()
    guarded = ClampedBackend(HAND, FIXTURES.make("valve"), backend)
    target = np.clip(HAND.nominal + 0.2, HAND.lower, HAND.upper)
    readings = drive(guarded, target, 0.6)
    assert np.abs(readings[-1].hand.q - target).max() < 0.01
    assert np.abs(emulated.q - target).max() < 0.01
    stamps = np.array([reading.hand.stamp[0] for reading in readings])
    assert (np.diff(stamps) >= 0).all() and np.ptp(stamps) > 0.4
    assert (stamps == np.round(stamps * 1e9) / 1e9).all()  # survives a ROS message


def test_readings_are_not_changed_later_and_commands_not_kept(emulate, opened):
    _, channel = emulate()
    backend = opened(channel)
    backend.activate()
    first = backend.read()
    kept = first.hand.q.copy()
    target = HAND.nominal[None].copy()
    backend.step(Command(target, HAND.max_effort[None]), None, PERIOD)
    target[:] = HAND.upper
    time.sleep(0.2)
    np.testing.assert_array_equal(first.hand.q, kept)
    np.testing.assert_allclose(backend.read().hand.q[0], HAND.nominal, atol=0.02)


def test_step_does_not_wait(emulate, opened):
    _, channel = emulate()
    backend = opened(channel)
    command = Command(HAND.nominal[None], HAND.max_effort[None])
    began = time.monotonic()
    for _ in range(100):
        backend.step(command, None, 0.1)
    assert time.monotonic() - began < 5.0  # 100 steps that wait would take 10 s


def test_torque_is_on_between_activate_and_deactivate(emulate, opened):
    emulated, channel = emulate()
    backend = opened(channel)
    drive(backend, HAND.upper, 0.1)
    assert not emulated.servo_on and not backend.motor_status.hand.torque.any()
    backend.activate()
    wait_for(lambda: emulated.servo_on)
    assert backend.motor_status.hand.torque.all()
    backend.deactivate()
    wait_for(lambda: not emulated.servo_on)
    stamp = backend.read().hand.stamp[0]
    wait_for(lambda: backend.read().hand.stamp[0] > stamp)  # readings go on
    backend.activate()
    backend.close()
    wait_for(lambda: not emulated.servo_on and emulated.periods == (0, 0, 0))


def test_a_silent_finger_is_reported_and_its_hand_comes_back(emulate, opened):
    emulated, channel = emulate()
    backend = opened(channel)
    backend.activate()
    wait_for(lambda: emulated.servo_on)
    emulated.faults.silent_fingers = {3}
    wait_for(lambda: not emulated.servo_on)
    health = backend.motor_status
    assert "thumb" in health.problems[0]
    assert health.hand.silent.nonzero()[0].tolist() == [12, 13, 14, 15]
    stamp = backend.read().hand.stamp[0]
    time.sleep(0.1)
    assert backend.read().hand.stamp[0] == stamp
    emulated.faults.silent_fingers = set()
    wait_for(lambda: emulated.servo_on and not backend.motor_status.problems)
    assert backend.read().hand.stamp[0] > stamp
    assert backend.motor_status.counts["lost_fingers"] >= 1


def test_frames_that_waited_are_as_old_as_their_arrival(emulate, opened):
    emulated, channel = emulate()
    backend = opened(channel)
    backend._stop.set()  # as when the machine lets the thread wait
    backend._thread.join()
    time.sleep(0.05)
    emulated.faults.unplugged = True
    unplugged, before = time.monotonic(), backend.read().hand.stamp[0]
    time.sleep(0.4)
    for _ in range(3):
        backend._pump()
    assert before < backend.read().hand.stamp[0] < unplugged + 0.2


def test_activate_says_why_it_cannot(emulate, opened):
    emulated, channel = emulate()
    backend = opened(channel)
    emulated.faults.silent_fingers = {0}
    time.sleep(0.05)
    with pytest.raises(StationFault, match="does not engage: no frames from index"):
        backend.activate()


def test_a_bus_that_fails_is_opened_again(emulate, opened, monkeypatch):
    monkeypatch.setattr(module, "REOPEN_EVERY", 0.1)
    emulated, channel = emulate()
    backend = opened(channel)
    backend.activate()
    stamp = backend.read().hand.stamp[0]
    backend._wire.close()  # as when the adapter is pulled out
    wait_for(lambda: backend.motor_status.counts["bus_failures"] == 1)
    assert "opened again" in backend.motor_status.problems[0]
    wait_for(lambda: not backend.motor_status.problems and backend.motor_status.hand.torque.all())
    assert backend.read().hand.stamp[0] > stamp
    wait_for(lambda: emulated.servo_on)


def test_a_bus_without_a_hand(opened):
    with pytest.raises(StationTimeout, match=r"no hand with device id 0.*powered.*1 Mbit/s"):
        opened("empty")


def test_another_device_id_is_another_hand(emulate, opened):
    _, channel = emulate(device=1)
    with pytest.raises(StationTimeout, match="device id 0"):
        opened(channel)
    assert opened(channel, device=1).read().hand.q.shape == (1, 16)


def test_a_left_hand_is_refused_where_a_right_one_is_expected(emulate, opened):
    _, channel = emulate(side="left")
    with pytest.raises(StationFault, match=r"is a left hand.*says right.*`side`"):
        opened(channel)


@pytest.mark.parametrize(("there", "expected"), [("v4", "v5"), ("v5", "v4")])
def test_another_version_is_refused(emulate, opened, there, expected):
    _, channel = emulate(version=make_version(there))
    with pytest.raises(StationFault, match=f"says {expected}: correct `version`"):
        opened(channel, version=expected)


def test_a_finger_that_is_silent_from_the_start_is_named(emulate, opened):
    emulated, channel = emulate()
    emulated.faults.silent_fingers = {1, 2}
    with pytest.raises(StationTimeout, match="sends no angles of middle, ring"):
        opened(channel)


def test_a_bus_that_is_not_there_says_how_to_bring_it_up():
    config = AllegroConfig("socketcan", "nocan7")
    with pytest.raises(StationFault, match="sudo ip link set nocan7 up type can bitrate 1000000"):
        AllegroBackend(HAND, config)
    with pytest.raises(StationFault, match="nosuchthing"):
        AllegroBackend(HAND, AllegroConfig("nosuchthing", "x"))


def test_a_station_file_of_another_hand_is_refused(tmp_path):
    path = tmp_path / "station.yaml"
    path.write_text("hand: allegro\nfixture: valve\n")
    with pytest.raises(BadConfig, match="section `allegro`"):
        make_backend("allegro", "valve", str(path))
    path.write_text("hand: allegro\nfixture: valve\nallegro: {chanel: can0}\n")
    with pytest.raises(BadConfig, match="chanel"):
        make_backend("allegro", "valve", str(path))


def test_a_station_file_opens_its_hand(emulate, tmp_path):
    _, channel = emulate()
    path = tmp_path / "station.yaml"
    path.write_text(
        "hand: allegro\nfixture: valve\nallegro: {interface: virtual, channel: elsewhere}\n"
    )
    backend = make_backend("allegro", "valve", path, port=channel)
    assert backend.read().hand.stamp[0] == pytest.approx(time.time(), abs=1.0)
    backend.close()
    with pytest.raises(StationTimeout, match="on elsewhere"):
        make_backend("allegro", "valve", path)


def test_the_emulator_ends_on_sigterm():
    command = [sys.executable, "-m", "handlab_hardware.allegro.emulator", "--interface", "virtual"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "Allegro hand v4 is on" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_v5_hand_that_gives_no_information_is_opened(emulate, opened):
    emulated, channel = emulate(version=make_version("v5"))
    emulated.faults.no_info = True
    backend = opened(channel, version="v5")
    assert backend._driver.info is None and backend._driver.serial.side == "right"
    backend.activate()
    wait_for(lambda: backend.motor_status.hand.torque.all())
    emulated.faults.motor_errors = {3: 1 << 5}
    wait_for(lambda: backend.motor_status.hand.hardware_error[3] == 1 << 5)
    assert not backend.motor_status.hand.torque[3] and backend.motor_status.hand.torque[:3].all()
    assert "overload of ffj3" in backend.motor_status.problems[0]


def test_a_v4_hand_that_gives_no_information_is_refused(emulate, opened):
    emulated, channel = emulate()
    emulated.faults.no_info = True
    with pytest.raises(StationTimeout, match="serial number '0B000001', but not its info"):
        opened(channel)


def test_the_side_of_a_v5_hand_is_in_its_serial_number(emulate, opened):
    _, channel = emulate(version=make_version("v5"), side="left")  # its information says 0: right
    with pytest.raises(StationFault, match=r"is a left hand.*says right.*`side`"):
        opened(channel, version="v5")


def test_a_left_hand_is_refused_before_the_bus_is_opened(opened):
    with pytest.raises(BadConfig, match="side is left; only a right hand can be driven"):
        opened("absent", side="left")
