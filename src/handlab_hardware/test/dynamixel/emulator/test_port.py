"""The pseudo-terminal: names, speeds, timing, unplugging, and faults from another process."""

import os
import select
import threading
import time
import tty

import numpy as np
import pytest
import serial

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator import (
    EmulatedPort,
    EmulatorConfig,
    Fault,
    emulate,
    make_bus,
)
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code

PING = packet.instruction(1, Code.PING)


PONG_SIZE = 14

QUIET = 0.3  # s; no answer comes in this time


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_the_link_is_the_port_and_goes_with_it(ping, link):
    with emulate(EmulatorConfig(link=link)) as port:
        assert port.name == str(link)
        assert len(ping(port.name)) == PONG_SIZE
    assert not link.is_symlink()
    assert not list(link.parent.iterdir())


def test_a_file_is_never_taken_for_a_link(link):
    link.write_text("precious")
    with pytest.raises(BadConfig, match="no symbolic link"):
        emulate(EmulatorConfig(link=link))
    assert link.read_text() == "precious"
    assert list(link.parent.iterdir()) == [link]


def test_a_client_of_another_speed_is_not_heard(ping, served):
    assert ping(served.name, 57_600, timeout=QUIET) == b""
    assert len(ping(served.name, 1_000_000)) == PONG_SIZE


def test_speeds_that_have_no_name_work(ping, link):
    with emulate(EmulatorConfig(link=link, baud=4_500_000)) as port:
        assert len(ping(port.name, 4_500_000)) == PONG_SIZE
        assert ping(port.name, 4_000_000, timeout=QUIET) == b""


def test_a_fixed_wire_does_not_ask_the_client(ping, link):
    with emulate(EmulatorConfig(link=link, wire_baud=1_000_000)) as port:
        assert len(ping(port.name, 57_600)) == PONG_SIZE


def test_a_reply_is_never_early():
    with emulate(EmulatorConfig(baud=57_600)) as port:
        expected = (len(PING) + PONG_SIZE) * 10 / 57_600 + 500e-6 + 50e-6
        with serial.Serial(port.name, 57_600, timeout=60.0) as client:
            for _ in range(20):
                start = time.perf_counter()
                client.write(PING)
                assert len(client.read(PONG_SIZE)) == PONG_SIZE
                assert time.perf_counter() - start >= expected


def test_replies_come_on_time_on_the_whole():
    """The best of many is within half a millisecond, and what a thread takes to send bytes back."""
    master, slave = os.openpty()
    tty.setraw(slave)
    echo = threading.Thread(target=lambda: [os.write(master, os.read(master, 64)) for _ in late])
    bare, late = [], [0.0] * 100
    echo.start()
    for _ in late:
        start = time.perf_counter()
        os.write(slave, PING)
        os.read(slave, 64)
        bare.append(time.perf_counter() - start)
    echo.join()
    os.close(master), os.close(slave)
    with emulate(EmulatorConfig()) as port, serial.Serial(port.name, 1_000_000, timeout=60.0) as c:
        late = []
        for _ in range(100):
            start = time.perf_counter()
            c.write(PING)
            c.read(PONG_SIZE)
            late.append(time.perf_counter() - start - (10 + 14) * 10e-6 - 550e-6)
    assert min(late) < 0.5e-3 + 5 * min(bare)


def test_unplugged_the_port_is_gone_and_comes_back_under_its_name(ping, served, link):
    client = serial.Serial(served.name, 1_000_000, timeout=0.2)
    served.inject(Fault("unplug", seconds=0.3))
    assert wait_for(lambda: not link.exists())
    with pytest.raises((serial.SerialException, OSError)):
        client.write(PING)
        client.read(PONG_SIZE)
    client.close()
    assert wait_for(link.exists)
    assert len(ping(served.name)) == PONG_SIZE


def test_time_that_the_machine_could_not_follow_is_left_out(ping, caplog):
    skipped = [0.0]
    config = EmulatorConfig()
    with EmulatedPort(make_bus(config), clock=lambda: time.monotonic() + skipped[0]) as port:
        assert len(ping(port.name)) == PONG_SIZE
        skipped[0] = 3600.0  # would be hours of work
        assert wait_for(lambda: caplog.records)
        assert len(ping(port.name)) == PONG_SIZE
    assert "behind" in caplog.text


@pytest.fixture
def asleep(link):
    """A port whose servos are limp and stand still, so that it waits for bytes."""
    with emulate(EmulatorConfig(link=link, ids=tuple(range(1, 10)))) as port:
        assert wait_for(lambda: port.bus.resting)
        time.sleep(0.05)
        yield port


def test_an_idle_emulator_waits_for_bytes_and_uses_no_processor(asleep, monkeypatch):
    """Its thread blocks in one wait, which it entered before."""
    waits, real = [], select.select

    def counted(*words):
        waits.append(words)
        return real(*words)

    monkeypatch.setattr(select, "select", counted)
    time.sleep(0.5)
    assert not waits
    assert asleep.bus.resting


def test_a_rest_ends_with_the_first_byte_and_time_has_passed(asleep):
    loop = asleep.bus.loop
    loop.temperature[:] = 60.0
    loop.physics.place(np.full(9, 1.0))  # by hand, unseen
    time.sleep(0.5)
    began = loop.time
    with serial.Serial(asleep.name, 1_000_000, timeout=60.0) as client:
        client.write(packet.instruction(1, Code.READ, b"\x84\x00\x04\x00"))  # present position
        answer = client.read(15)
    assert int.from_bytes(answer[9:13], "little") == round(4096 / (2 * np.pi))
    assert loop.time - began > 0.4
    assert loop.temperature.max() < 60.0


def test_torque_ends_a_rest_for_good(asleep):
    with serial.Serial(asleep.name, 1_000_000, timeout=60.0) as client:
        for address, value in ((116, (3000).to_bytes(4, "little")), (64, b"\x01")):
            write = packet.instruction(1, Code.WRITE, bytes((address, 0)) + value)
            client.write(write)
            client.read(11)
    assert wait_for(
        lambda: abs(asleep.bus.loop.motion.position[0] / (2 * np.pi) * 4096 - 3000) < 20
    )


def test_faults_come_and_go_during_a_rest(ping, asleep, link):
    asleep.inject(Fault("dead", id=1, seconds=2.0))
    assert wait_for(lambda: not asleep.bus.resting)
    assert ping(asleep.name, timeout=QUIET) == b""
    assert wait_for(lambda: asleep.bus.faults.quiet and asleep.bus.resting)
    assert len(ping(asleep.name)) == PONG_SIZE
    asleep.inject(Fault("unplug", seconds=0.2))
    assert wait_for(lambda: not link.exists())
    assert wait_for(link.exists)
    assert len(ping(asleep.name)) == PONG_SIZE
