"""Emergency release of servos."""

from handlab_hardware.dynamixel import emergency_release
from handlab_hardware.dynamixel.emulator.firmware.packet import Parser
from handlab_hardware.dynamixel.protocol.registers import REGISTERS


def test_the_packet_is_one_that_servos_understand():
    [instruction] = Parser().feed(emergency_release.release_all())
    address = REGISTERS["torque_enable"].address
    assert instruction.intact
    assert instruction.params == address.to_bytes(2, "little") + b"\0"
