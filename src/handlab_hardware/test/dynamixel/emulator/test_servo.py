"""What instructions do to servos, on the bus alone: no port, and time as the test wants it."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, make_bus
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code, Error
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import (
    BAUD_RATES,
    RAD_S_PER_COUNT,
    REGISTERS,
    HardwareError,
)

ALERT = 0x80
GAP = 0.001  # s between packets


class Host:
    """Talks to a bus; raw packets in, decoded status packets out."""

    def __init__(self, **config):
        config.setdefault("ids", (1, 2, 3))
        self.config = EmulatorConfig(**config)
        self.bus = make_bus(self.config)
        self.now, self.baud, self.replies = 0.0, self.config.baud, []

    @property
    def loop(self):
        return self.bus.loop

    def send(self, id, code, params=b""):
        """Return [(id, error, params)] of what is answered, and wait until it is here."""
        self.now += GAP
        sent = packet.instruction(id, code, params)
        self.replies = self.bus.receive(sent, self.now, self.baud)
        if self.replies:
            self.now = self.replies[-1].time
        return [(r.data[4], r.data[8], packet.unstuff(r.data[9:-2])) for r in self.replies]

    def error(self, id, code, params=b""):
        [(answering, error, _)] = self.send(id, code, params)
        assert answering == id
        return error

    def write(self, id, name, value):
        r = REGISTERS[name]
        data = value.to_bytes(r.size, "little", signed=value < 0)
        return self.error(id, Code.WRITE, struct.pack("<H", r.address) + data)

    def read(self, id, name):
        r = REGISTERS[name]
        [(_, _, data)] = self.send(id, Code.READ, struct.pack("<HH", r.address, r.size))
        return int.from_bytes(data, "little", signed=r.signed)

    def wait(self, seconds):
        self.now += seconds
        self.bus.advance(self.now)


@pytest.fixture
def host():
    return Host()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_new_servo_has_the_models_factory_values(model):
    host, facts = Host(ids=(1,), models=(model,)), MODELS[model]
    assert host.read(1, "model_number") == facts.number
    assert host.read(1, "velocity_limit") == facts.velocity_limit
    assert host.read(1, "position_p_gain") == facts.gains[2]
    assert host.read(1, "min_voltage_limit") == facts.voltage_limits[0]
    assert host.read(1, "shutdown") == facts.shutdown
    assert host.read(1, "present_position") == host.read(1, "goal_position") == 2048
    assert host.read(1, "present_input_voltage") == round(facts.nominal_voltage * 10)
    if facts.current_limit is not None:
        assert host.read(1, "current_limit") == facts.current_limit


@pytest.mark.parametrize(
    ("firmware", "model", "good", "bad"),
    [
        (38, "XM430-W210", [0, 1], [4, 5, 8, 9, 12, 13]),
        (41, "XM430-W210", [1], [4, 8]),
        (42, "XM430-W210", [1, 4, 5], [8, 12]),
        (44, "XL430-W250", [4], [8]),
        (45, "XM430-W210", [1, 4, 8, 13], [2, 16]),
        (45, "XL330-M288", [1, 4], [8]),
        (46, "XL330-M288", [1, 4, 8], [2]),
    ],
)
def test_old_firmware_knows_fewer_drive_modes(firmware, model, good, bad):
    host = Host(ids=(1,), models=(model,), firmware=firmware)
    for value in good:
        assert host.write(1, "drive_mode", value) == Error.NONE
    kept = host.read(1, "drive_mode")
    for value in bad:
        assert host.write(1, "drive_mode", value) == Error.DATA_RANGE
    assert host.read(1, "drive_mode") == kept


@pytest.mark.parametrize(
    ("firmware", "model", "known"),
    [(38, "XM430-W210", False), (44, "XH430-V210", False), (45, "XM430-W210", True),
     (45, "XC330-T288", False), (46, "XC330-T288", True)],
)  # fmt: skip
def test_old_firmware_has_no_startup_configuration_and_no_backup(firmware, model, known):
    host = Host(ids=(1,), models=(model,), firmware=firmware)
    expected = (Error.NONE, Error.NONE) if known else (Error.ACCESS, Error.INSTRUCTION)
    assert host.write(1, "startup_configuration", 1) == expected[0]
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == expected[1]
    assert host.read(1, "startup_configuration") == host.read(1, "backup_ready") == int(known)
    host.error(1, Code.FACTORY_RESET, b"\x02")
    host.wait(1.0)
    assert host.write(1, "startup_configuration", 1) == expected[0]


def test_small_servos_have_a_shorter_table_with_fewer_indirect_registers():
    host = Host(ids=(1,), models=("XL330-M288",))
    assert host.send(1, Code.READ, struct.pack("<HH", 227, 1))[0][1] == Error.NONE
    assert host.send(1, Code.READ, struct.pack("<HH", 228, 1))[0][1] == Error.ACCESS
    first = struct.pack("<HH", 168, REGISTERS["led"].address)
    assert host.error(1, Code.WRITE, first) == Error.NONE
    assert host.error(1, Code.WRITE, struct.pack("<HB", 208, 1)) == Error.NONE
    assert host.read(1, "led") == 1
    assert host.write(1, "velocity_limit", 2047) == Error.NONE
    assert host.write(1, "baud_rate", 7) == Error.DATA_RANGE


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_models_numbers_agree_with_each_other(model):
    """The velocity limit is near the speed without load, and the current limit above the stall."""
    facts = MODELS[model]
    limit = facts.velocity_limit * RAD_S_PER_COUNT
    assert 0.75 < limit / facts.no_load_speed < 1.3
    if facts.current_limit is not None:
        assert 1.0 < facts.current_limit * facts.current_unit / facts.stall_current < 1.45
    least, most = facts.voltage_limits
    assert least / 10 < facts.nominal_voltage < most / 10
    assert [m.name for m in MODELS.values() if m.number == facts.number] == [model]


def test_a_model_without_current_has_no_current_registers():
    host = Host(ids=(1,), models=("XL430-W250",))
    assert host.write(1, "goal_current", 5) == Error.ACCESS
    assert host.write(1, "operating_mode", 5) == Error.DATA_RANGE


def test_broadcast_ping_is_answered_by_all_in_the_order_of_ids():
    host = Host(ids=(30, 2, 11))
    assert [id for id, _, _ in host.send(BROADCAST, Code.PING)] == [2, 11, 30]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("led", 1, Error.NONE),
        ("led", 2, Error.DATA_RANGE),
        ("id", 253, Error.DATA_RANGE),
        ("baud_rate", 8, Error.DATA_RANGE),
        ("drive_mode", 2, Error.DATA_RANGE),
        ("operating_mode", 2, Error.DATA_RANGE),
        ("max_voltage_limit", 161, Error.DATA_RANGE),
        ("current_limit", 1194, Error.DATA_RANGE),
        ("homing_offset", -1_044_480, Error.DATA_RANGE),
        ("goal_position", 4096, Error.DATA_LIMIT),
        ("goal_position", -1, Error.DATA_LIMIT),
        ("goal_velocity", -331, Error.DATA_LIMIT),
        ("goal_current", 1194, Error.DATA_LIMIT),
        ("goal_pwm", -885, Error.NONE),
        ("goal_pwm", 886, Error.DATA_LIMIT),
        ("present_position", 0, Error.ACCESS),
        ("hardware_error_status", 0, Error.ACCESS),
    ],
)
def test_writes_are_refused_with_the_right_error(host, name, value, error):
    before = host.read(1, name)
    assert host.write(1, name, value) == error
    if error and name != "present_position":
        assert host.read(1, name) == before


@pytest.mark.parametrize(
    ("params", "error"),
    [
        (struct.pack("<HH", 116, 5), Error.DATA_LENGTH),  # half of a register of four bytes
        (struct.pack("<HB", 117, 0), Error.DATA_LENGTH),  # its second byte
        (struct.pack("<HB", 200, 0), Error.DATA_LENGTH),  # half of an indirect address
        (struct.pack("<HB", 160, 0), Error.ACCESS),  # nothing is there
        (struct.pack("<HB", 661, 0) + b"\0", Error.ACCESS),  # beyond the end
        (struct.pack("<H", 116), Error.DATA_LENGTH),  # nothing to write
        (struct.pack("<Hiii", 108, 0, 0, 9000), Error.DATA_LIMIT),  # the third of three
    ],
)
def test_a_write_of_something_else_than_whole_registers_is_refused(host, params, error):
    assert host.error(1, Code.WRITE, params) == error
    assert host.read(1, "goal_position") == 2048


def test_reads_of_nowhere_are_refused(host):
    assert host.error(1, Code.READ, struct.pack("<HH", 160, 2)) == Error.ACCESS
    assert host.error(1, Code.READ, struct.pack("<HH", 660, 3)) == Error.ACCESS
    assert host.error(1, Code.READ, b"\x84") == Error.DATA_LENGTH


def test_instructions_that_do_not_exist_are_refused(host):
    assert host.error(1, 0x33) == Error.INSTRUCTION
    assert host.error(1, Code.ACTION) == Error.INSTRUCTION  # nothing was registered


def test_a_packet_with_a_wrong_crc_is_refused(host):
    broken = bytearray(packet.instruction(1, Code.PING))
    broken[-1] ^= 1
    [reply] = host.bus.receive(bytes(broken), 1.0, host.baud)
    assert reply.data[8] == Error.CRC


def test_torque_locks_the_eeprom(host):
    assert host.write(1, "torque_enable", 1) == Error.NONE
    assert host.write(1, "return_delay_time", 0) == Error.ACCESS
    assert host.write(1, "led", 1) == Error.NONE
    assert host.write(1, "torque_enable", 0) == Error.NONE
    assert host.write(1, "return_delay_time", 0) == Error.NONE


@pytest.mark.parametrize(
    ("level", "answered"), [(0, "ping"), (1, "ping read"), (2, "ping read write")]
)
def test_the_status_return_level_decides_what_is_answered(host, level, answered):
    host.write(1, "status_return_level", level)
    host.send(1, Code.WRITE, struct.pack("<HB", 65, 1))
    got = {
        "ping": host.send(1, Code.PING),
        "read": host.send(1, Code.READ, struct.pack("<HH", 65, 1)),
        "write": host.send(1, Code.WRITE, struct.pack("<HB", 65, 1)),
    }
    assert " ".join(name for name, replies in got.items() if replies) == answered


def test_a_registered_write_waits_for_the_action(host):
    assert host.error(1, Code.REG_WRITE, struct.pack("<HB", 65, 1)) == Error.NONE
    assert (host.read(1, "led"), host.read(1, "registered_instruction")) == (0, 1)
    assert host.send(BROADCAST, Code.ACTION) == []
    assert (host.read(1, "led"), host.read(1, "registered_instruction")) == (1, 0)
    assert host.error(1, Code.REG_WRITE, struct.pack("<HB", 65, 2)) == Error.DATA_RANGE


def test_a_new_id_and_baud_hold_from_the_next_packet_on(host):
    assert host.write(1, "id", 9) == Error.NONE  # answered under the old one
    assert host.send(1, Code.PING) == []
    assert host.write(9, "baud_rate", BAUD_RATES[3_000_000]) == Error.NONE
    assert host.send(9, Code.PING) == []
    host.baud = 3_000_000
    assert [id for id, _, _ in host.send(BROADCAST, Code.PING)] == [9]


def test_the_secondary_id_is_obeyed_in_silence_and_not_in_the_eeprom(host):
    for id in (1, 2, 3):
        host.write(id, "secondary_id", 3)
    answers = host.send(3, Code.WRITE, struct.pack("<HB", 65, 1))
    assert [id for id, _, _ in answers] == [3]
    assert [host.read(id, "led") for id in (1, 2, 3)] == [1, 1, 1]
    host.send(3, Code.WRITE, struct.pack("<HB", 9, 7))
    assert [host.read(id, "return_delay_time") for id in (1, 2, 3)] == [250, 250, 7]


def test_a_reboot_keeps_the_eeprom_and_forgets_the_ram(host):
    host.write(1, "temperature_limit", 70)
    host.write(1, "led", 1)
    host.write(1, "torque_enable", 1)
    assert host.error(1, Code.REBOOT) == Error.NONE
    assert host.send(1, Code.PING) == []  # it is not there yet
    host.wait(0.5)
    assert host.read(1, "temperature_limit") == 70
    assert (host.read(1, "led"), host.read(1, "torque_enable")) == (0, 0)


@pytest.mark.parametrize(
    ("option", "id", "baud"), [(0xFF, 1, 57_600), (0x01, 7, 57_600), (0x02, 7, 1_000_000)]
)
def test_a_factory_reset_keeps_the_registers_of_its_level(option, id, baud):
    host = Host(ids=(7,))
    host.write(7, "velocity_limit", 100)
    assert host.error(7, Code.FACTORY_RESET, bytes((option,))) == Error.NONE
    host.wait(0.5)
    host.baud = baud
    assert host.read(id, "velocity_limit") == 330


def test_no_factory_reset_of_everything_by_broadcast(host):
    host.write(2, "velocity_limit", 100)
    host.send(BROADCAST, Code.FACTORY_RESET, b"\xff")
    host.wait(0.5)
    assert host.read(2, "velocity_limit") == 100


def test_the_control_table_is_backed_up_and_restored(host):
    host.write(1, "velocity_limit", 123)
    host.write(1, "position_p_gain", 456)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.RESULT_FAIL  # there is none yet
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == Error.NONE
    assert host.read(1, "backup_ready") == 1
    host.write(1, "velocity_limit", 99)
    host.write(1, "torque_enable", 1)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.RESULT_FAIL  # torque is on
    host.write(1, "torque_enable", 0)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.NONE
    host.wait(0.5)
    assert (host.read(1, "velocity_limit"), host.read(1, "position_p_gain")) == (123, 456)


def test_the_startup_configuration_restores_the_ram_and_turns_torque_on(host):
    host.write(1, "position_p_gain", 456)
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == Error.NONE
    host.write(1, "startup_configuration", 3)
    host.write(1, "position_p_gain", 1)
    host.send(1, Code.REBOOT)
    host.wait(0.5)
    assert (host.read(1, "position_p_gain"), host.read(1, "torque_enable")) == (456, 1)


def test_a_change_of_mode_resets_gains_profile_and_goals(host):
    host.write(1, "position_p_gain", 1)
    host.write(1, "profile_velocity", 10)
    host.write(1, "goal_current", 5)
    assert host.write(1, "operating_mode", 5) == Error.NONE
    assert host.read(1, "position_p_gain") == 800
    assert host.read(1, "profile_velocity") == 0
    assert host.read(1, "goal_current") == host.read(1, "current_limit") == 1193
    assert host.read(1, "goal_position") == 2048


def test_indirect_addresses_gather_registers_for_one_read_and_write(host):
    """Goal position and LED written through indirect data, present position read behind them."""
    targets = [*range(116, 120), 65, *range(132, 136)]
    params = struct.pack("<H", 168) + struct.pack("<9H", *targets)
    assert host.error(1, Code.WRITE, params) == Error.NONE
    goal = struct.pack("<HiB", 224, 1234, 1)
    assert host.error(1, Code.WRITE, goal) == Error.NONE
    assert (host.read(1, "goal_position"), host.read(1, "led")) == (1234, 1)
    [(_, _, data)] = host.send(1, Code.READ, struct.pack("<HH", 224, 9))
    assert struct.unpack("<iBi", data) == (1234, 1, 2048)
    assert host.error(1, Code.WRITE, struct.pack("<Hi", 229, 0)) == Error.ACCESS  # read only
    assert host.error(1, Code.WRITE, struct.pack("<HH", 168, 63)) == Error.DATA_RANGE


# Reads and writes of many


def test_sync_read_is_answered_in_the_order_of_the_list(host):
    answers = host.send(BROADCAST, Code.SYNC_READ, struct.pack("<HH", 7, 1) + bytes((3, 1, 2)))
    assert [(id, data) for id, _, data in answers] == [(3, b"\3"), (1, b"\1"), (2, b"\2")]


def test_a_missing_servo_silences_those_after_it(host):
    answers = host.send(BROADCAST, Code.SYNC_READ, struct.pack("<HH", 7, 1) + bytes((3, 9, 2)))
    assert [id for id, _, _ in answers] == [3]


def fast(host, ids=(1, 2, 3), address=126, length=10):
    params = struct.pack("<HH", address, length) + bytes(ids)
    return host.send(BROADCAST, Code.FAST_SYNC_READ, params)


def test_a_fast_read_is_one_reply_and_a_missing_servo_loses_it(host):
    [(id, _, _)] = fast(host)
    assert id == BROADCAST
    assert len(host.replies[0].data) == 8 + 3 * 14
    assert fast(host, (1, 9, 3)) == []
    assert fast(host, (1,) * 250, 0, 662) == []  # more than a packet can hold
    assert fast(Host(firmware=44)) == []


def test_bulk_reads_and_writes_have_an_address_for_each(host):
    write = struct.pack("<BHHB", 1, 65, 1, 1) + struct.pack("<BHHi", 2, 116, 4, 1000)
    assert host.send(BROADCAST, Code.BULK_WRITE, write) == []
    read = struct.pack("<BHHBHH", 1, 65, 1, 2, 116, 4)
    answers = host.send(BROADCAST, Code.BULK_READ, read)
    assert [data for _, _, data in answers] == [b"\1", struct.pack("<i", 1000)]


params = st.one_of(
    st.binary(max_size=30),
    st.tuples(st.integers(0, 700), st.integers(0, 70_000), st.binary(max_size=12)).map(
        lambda p: struct.pack("<HH", p[0], p[1] & 0xFFFF) + p[2]
    ),
    st.tuples(st.sampled_from(sorted(r.address for r in REGISTERS.values())), st.binary()).map(
        lambda p: struct.pack("<H", p[0]) + p[1]
    ),
)
packets = st.tuples(
    st.sampled_from((1, 2, 9, BROADCAST)),
    st.one_of(st.sampled_from([c for c in Code if c != Code.STATUS]), st.integers(0, 255)),
    params,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(packets, max_size=20))
def test_no_packets_bring_the_bus_down(sent):
    """And every answer is a good packet."""
    host = Host(ids=(1, 2))
    for one in sent:
        host.send(*one)
        for reply in host.replies:
            crc = packet.crc16(reply.data[:-2])
            assert reply.data[-2:] == crc.to_bytes(2, "little")
        host.wait(0.02)


# Time


def test_the_wire_takes_its_time(host):
    """A read of 10 bytes: 14 bytes out, the return delay, the processing, 21 bytes back."""
    host.write(1, "return_delay_time", 100)
    start = host.now + GAP
    host.send(1, Code.READ, struct.pack("<HH", 126, 10))
    expected = (14 + 21) * 10 / host.baud + 100 * 2e-6 + host.config.processing
    assert host.now - start == pytest.approx(expected)


def test_a_packet_that_breaks_off_is_forgotten_after_a_while(host):
    whole = packet.instruction(1, Code.PING)
    assert host.bus.receive(whole[:6], 1.0, host.baud) == []
    assert len(host.bus.receive(whole[6:], 1.05, host.baud)) == 1
    assert host.bus.receive(whole[:6], 2.0, host.baud) == []
    assert host.bus.receive(whole[6:], 2.2, host.baud) == []


def test_an_instruction_waits_for_the_wire_to_be_free(host):
    sync_write = struct.pack("<HHBi", 116, 4, 1, 2048)
    first = packet.instruction(BROADCAST, Code.SYNC_WRITE, sync_write)
    ping = packet.instruction(1, Code.PING)
    [alone] = host.bus.receive(ping, 1.0, host.baud)
    [behind] = host.bus.receive(first + ping, 2.0, host.baud)
    assert behind.time - 2.0 == pytest.approx(alone.time - 1.0 + len(first) * 10 / host.baud)


def test_a_fast_read_costs_one_return_delay_and_one_processing_time(host):
    start = host.now + GAP
    fast(host)
    sent = len(packet.instruction(BROADCAST, 0, bytes(7)))
    wire = (sent + 8 + 3 * 14) * 10 / host.baud
    assert host.now - start == pytest.approx(wire + 250 * 2e-6 + host.config.processing)


# Hardware errors


def test_an_error_shuts_the_servo_down_until_it_reboots(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("overload", id=1))
    host.wait(0.01)
    assert host.error(1, Code.PING) == ALERT
    assert host.read(1, "hardware_error_status") == HardwareError.OVERLOAD
    assert host.read(1, "torque_enable") == 0
    assert host.write(1, "torque_enable", 1) == ALERT | Error.RESULT_FAIL
    assert host.error(2, Code.PING) == 0
    host.send(1, Code.REBOOT)
    host.wait(0.5)
    assert host.read(1, "hardware_error_status") == 0
    assert host.write(1, "torque_enable", 1) == Error.NONE


def test_an_error_that_is_no_shutdown_only_alerts(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("encoder", id=1))  # not among the factory's shutdown bits
    host.wait(0.01)
    assert host.error(1, Code.PING) == ALERT
    assert host.read(1, "torque_enable") == 1


def test_the_alert_is_in_each_part_of_a_fast_reply(host):
    host.bus.faults.inject(Fault("shock", id=2))
    host.wait(0.01)
    fast(host)
    assert [host.replies[0].data[8 + 14 * i] for i in range(3)] == [0, ALERT, 0]


def test_a_brown_out_alerts_and_a_deep_one_reboots(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("brown_out", id=1, volts=8.0, seconds=0.2))
    host.wait(0.1)
    assert host.read(1, "present_input_voltage") == 80
    assert host.read(1, "hardware_error_status") == HardwareError.INPUT_VOLTAGE
    assert host.read(1, "torque_enable") == 1
    host.bus.faults.inject(Fault("brown_out", volts=3.0, seconds=0.2))
    host.wait(0.1)
    assert host.send(BROADCAST, Code.PING) == []
    host.wait(0.6)
    assert len(host.send(BROADCAST, Code.PING)) == 3
    assert host.read(1, "torque_enable") == 0
    assert host.read(1, "hardware_error_status") == 0
    assert host.read(1, "present_input_voltage") == 120


def test_a_servo_that_pushes_too_long_is_overloaded(host):
    host.write(1, "torque_enable", 1)
    host.loop.physics.load = np.array([-10.0, 0.0, 0.0])  # more than it has
    host.wait(1.0)
    assert host.read(1, "hardware_error_status") == 0
    host.wait(2.0)
    assert host.read(1, "hardware_error_status") == HardwareError.OVERLOAD
    assert host.read(1, "torque_enable") == 0


def test_a_servo_that_gets_too_hot_shuts_down(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("overheat", id=1))
    host.wait(0.05)
    assert host.read(1, "present_temperature") > 80
    assert host.read(1, "hardware_error_status") == HardwareError.OVERHEATING
    assert host.read(1, "torque_enable") == 0
    assert host.read(2, "present_temperature") == 25


# Bus watchdog


def test_the_bus_watchdog_stops_a_servo_and_refuses_goals(host):
    host.write(1, "operating_mode", 1)
    host.write(1, "torque_enable", 1)
    host.write(1, "goal_velocity", 100)
    assert host.write(1, "bus_watchdog", 5) == Error.NONE
    for _ in range(10):
        host.wait(0.09)
        host.send(2, Code.PING)  # any packet on the bus will do
    assert host.read(1, "present_velocity") == pytest.approx(100, abs=2)
    host.wait(0.5)
    assert host.read(1, "bus_watchdog") == -1
    assert abs(host.read(1, "present_velocity")) < 5
    assert host.write(1, "goal_velocity", 100) == Error.DATA_RANGE
    assert host.write(1, "bus_watchdog", 5) == Error.DATA_RANGE
    assert host.write(1, "bus_watchdog", 0) == Error.NONE
    assert host.write(1, "goal_velocity", 100) == Error.NONE
    host.wait(0.5)
    assert host.read(1, "present_velocity") == pytest.approx(100, abs=2)


def test_the_bus_watchdog_sleeps_while_torque_is_off(host):
    host.write(1, "bus_watchdog", 5)
    host.wait(1.0)
    assert host.read(1, "bus_watchdog") == 5


def test_the_bus_watchdog_holds_a_moving_servo_where_it_is(host):
    host.write(1, "profile_velocity", 50)
    host.write(1, "torque_enable", 1)
    host.write(1, "bus_watchdog", 1)
    host.write(1, "goal_position", 4000)
    host.wait(1.0)
    position = host.read(1, "present_position")
    assert 2048 < position < 2300
    host.wait(1.0)
    assert host.read(1, "present_position") == pytest.approx(position, abs=2)


def test_the_led_flickers_after_a_shutdown(host):
    servo = host.loop.servos[0]
    assert not servo.light(0.0)
    host.write(1, "led", 1)
    assert servo.light(0.0)
    servo.raise_error(HardwareError.OVERLOAD)
    assert servo.light(1.5) != servo.light(2.5)
