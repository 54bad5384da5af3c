"""Command line of the emulator."""

import signal
import subprocess
import sys

import pytest

from handlab_hardware.dynamixel.emulator.__main__ import main
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code

PING = packet.instruction(1, Code.PING)


PONG_SIZE = 14


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(ping, link, how):
    command = [sys.executable, "-m", "handlab_hardware.dynamixel.emulator"]
    arguments = ["--ids", "1", "2", "--model", "XH430-V210", "--link", str(link)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == str(link)
        reply = ping(str(link))
        assert int.from_bytes(reply[9:11], "little") == 1050
    finally:
        process.send_signal(how)
        assert process.wait(60) == 0
    assert not link.is_symlink()


def test_the_command_says_what_is_wrong(capsys):
    assert main(["--ids", "300"]) == 1
    assert "from 0 to 252" in capsys.readouterr().err
