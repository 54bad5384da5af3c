"""Socket for faults."""

import json
import socket

import pytest
import serial

from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.emulator import (
    EmulatorConfig,
    FaultInjector,
    emulate,
)
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code

PING = packet.instruction(1, Code.PING)


PONG_SIZE = 14

QUIET = 0.3  # s; no answer comes in this time


def test_faults_come_through_the_socket(ping, served, link):
    with FaultInjector(f"{link}.faults") as faults:
        faults.inject("drop", id=1, count=1)
        assert ping(served.name, timeout=QUIET) == b""
        assert len(ping(served.name)) == PONG_SIZE
        faults.inject("duplicate", count=1)
        with serial.Serial(served.name, 1_000_000, timeout=60.0) as client:
            client.write(PING)
            twice = client.read(2 * PONG_SIZE)
            client.timeout = QUIET
            assert client.read(1) == b""
        assert twice[:PONG_SIZE] == twice[PONG_SIZE:]
        faults.inject("dead")
        assert ping(served.name, timeout=QUIET) == b""
        faults.inject("clear")
        assert len(ping(served.name)) == PONG_SIZE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"fault": "lightning"}', "drop"),  # lists what there is
        ('{"fault": "drop", "times": 3}', "times"),
        ('{"fault": "drop", "count": 0}', "1 or more"),
        ('{"fault": "drop", "probability": "often"}', "invalid"),
        ("[1]", "no JSON object"),
        ("drop", "Expecting value"),
    ],
)
def test_an_invalid_fault_is_answered_with_an_error(ping, served, link, line, message):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{link}.faults")
        client.sendall(line.encode() + b"\n")
        answer = json.loads(client.recv(4096))
    assert answer["ok"] is False
    assert message in answer["error"]
    assert len(ping(served.name)) == PONG_SIZE


def test_two_emulators_do_not_share_a_name(ping, served, link):
    with pytest.raises(BadConfig, match="already"):
        emulate(EmulatorConfig(link=link))
    assert len(ping(served.name)) == PONG_SIZE


def test_the_injector_raises_what_the_emulator_says(served, link):
    with FaultInjector(f"{link}.faults") as faults, pytest.raises(BadConfig, match="seconds"):
        faults.inject("dead", secconds=1)


def test_an_injector_without_an_emulator_says_so(tmp_path):
    with pytest.raises(StationFault, match="no emulator"):
        FaultInjector(tmp_path / "absent")
