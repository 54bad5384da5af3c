"""Conformance: the vendor's SDK, whole, against the emulated port."""

import time

import dynamixel_sdk as sdk
import pytest

from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, emulate
from handlab_hardware.dynamixel.emulator.firmware.packet import Alert, Error

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32)
LED, RETURN_DELAY, TORQUE, GOAL, PRESENT = 65, 9, 64, 116, 132
PRESENT_ALL, PRESENT_ALL_SIZE = 126, 10  # current, velocity, position
OK = (sdk.COMM_SUCCESS, 0)
BOOT = 0.4  # s, a little more than a servo's


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """The SDK waits for an answer as long as a USB adapter's timer; this computer may be busy."""
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 100)


@pytest.fixture
def served():
    with emulate(EmulatorConfig(ids=IDS)) as port:
        yield port


@pytest.fixture
def port(served):
    handler = sdk.PortHandler(served.name)
    assert handler.openPort()
    assert handler.setBaudRate(1_000_000)
    yield handler
    handler.closePort()


@pytest.fixture
def packets():
    return sdk.Protocol2PacketHandler()


def test_ping(port, packets):
    assert packets.ping(port, 10) == (1030, *OK)
    assert packets.ping(port, 13)[1] == sdk.COMM_RX_TIMEOUT


def test_broadcast_ping(port, packets):
    found, result = packets.broadcastPing(port)
    assert result == sdk.COMM_SUCCESS
    assert found == {id: [1030, 46] for id in IDS}


def test_read_and_write_of_every_size(port, packets):
    assert packets.write1ByteTxRx(port, 10, LED, 1) == OK
    assert packets.read1ByteTxRx(port, 10, LED) == (1, *OK)
    assert packets.write2ByteTxRx(port, 10, 84, 700) == OK
    assert packets.read2ByteTxRx(port, 10, 84) == (700, *OK)
    assert packets.write4ByteTxRx(port, 10, GOAL, 2500) == OK
    assert packets.read4ByteTxRx(port, 10, GOAL) == (2500, *OK)
    assert packets.readTxRx(port, 10, GOAL, 4) == ([0xC4, 0x09, 0, 0], *OK)


def test_data_that_look_like_a_header_are_stuffed_and_come_through(port, packets):
    """Written a byte at a time: the SDK (4.1.0) works out its own stuffing and then drops it."""
    data = [0xFF, 0xFF, 0xFD, 0x00, 0xFF, 0xFF, 0xFD]
    for i, byte in enumerate(data):
        assert packets.write1ByteTxRx(port, 10, 224 + i, byte) == OK
    assert packets.readTxRx(port, 10, 224, len(data)) == (data, *OK)


@pytest.mark.parametrize(
    ("address", "size", "value", "error"),
    [
        (LED, 1, 2, Error.DATA_RANGE),
        (GOAL, 4, 5000, Error.DATA_LIMIT),
        (GOAL, 2, 5, Error.DATA_LENGTH),
        (PRESENT, 4, 0, Error.ACCESS),
    ],
)
def test_errors_come_through(port, packets, address, size, value, error):
    data = list(value.to_bytes(size, "little"))
    assert packets.writeTxRx(port, 10, address, size, data) == (sdk.COMM_SUCCESS, error)
    assert packets.getRxPacketError(error)


def test_reg_write_and_action(port, packets):
    for id in (10, 11):
        assert packets.regWriteTxRx(port, id, LED, 1, [1]) == OK
    assert packets.read1ByteTxRx(port, 10, LED) == (0, *OK)
    assert packets.action(port, sdk.BROADCAST_ID) == sdk.COMM_SUCCESS
    assert [packets.read1ByteTxRx(port, id, LED)[0] for id in (10, 11, 12)] == [1, 1, 0]


def test_reboot(port, packets):
    packets.write1ByteTxRx(port, 10, TORQUE, 1)
    assert packets.reboot(port, 10) == OK
    assert packets.ping(port, 10)[1] == sdk.COMM_RX_TIMEOUT
    time.sleep(BOOT)
    assert packets.read1ByteTxRx(port, 10, TORQUE) == (0, *OK)


def test_factory_reset_of_all_but_id_and_baud(port, packets):
    packets.write1ByteTxRx(port, 10, RETURN_DELAY, 0)
    assert packets.factoryReset(port, 10, 0x02) == OK
    time.sleep(BOOT)
    assert packets.read1ByteTxRx(port, 10, RETURN_DELAY) == (250, *OK)


def test_clear_multi_turn(port, packets):
    packets.write1ByteTxRx(port, 10, 11, 4)
    packets.write1ByteTxRx(port, 10, TORQUE, 1)
    packets.write4ByteTxRx(port, 10, GOAL, 2048 + 4096)
    time.sleep(0.1)
    assert packets.clearMultiTurn(port, 10) == (sdk.COMM_SUCCESS, Error.RESULT_FAIL)
    time.sleep(2.0)
    assert packets.clearMultiTurn(port, 10) == OK
    assert packets.read4ByteTxRx(port, 10, PRESENT)[0] == pytest.approx(2048, abs=12)


def positions(group):
    return [group.getData(id, PRESENT, 4) for id in IDS]


def sync_group(port, packets):
    group = sdk.GroupSyncRead(port, packets, PRESENT_ALL, PRESENT_ALL_SIZE)
    assert all(group.addParam(id) for id in IDS)
    return group


def test_group_sync_write_and_sync_read_and_fast_sync_read_agree(port, packets):
    write = sdk.GroupSyncWrite(port, packets, GOAL, 4)
    for i, id in enumerate(IDS):
        assert packets.write1ByteTxRx(port, id, TORQUE, 1) == OK
        assert write.addParam(id, (2000 + 20 * i).to_bytes(4, "little"))
    assert write.txPacket() == sdk.COMM_SUCCESS
    time.sleep(0.7)
    expected = [pytest.approx(2000 + 20 * i, abs=12) for i in range(len(IDS))]
    group = sync_group(port, packets)
    assert group.txRxPacket() == sdk.COMM_SUCCESS
    assert positions(group) == expected
    fast = sync_group(port, packets)
    assert fast.fastSyncRead() == sdk.COMM_SUCCESS
    assert positions(fast) == positions(group)


def test_group_bulk_write_and_read_and_fast_bulk_read(port, packets):
    write = sdk.GroupBulkWrite(port, packets)
    assert write.addParam(10, LED, 1, [1])
    assert write.addParam(11, GOAL, 4, [0xE8, 0x03, 0, 0])
    assert write.txPacket() == sdk.COMM_SUCCESS
    read = sdk.GroupBulkRead(port, packets)
    assert read.addParam(10, LED, 1)
    assert read.addParam(11, GOAL, 4)
    for transfer in (read.txRxPacket, read.fastBulkRead):
        assert transfer() == sdk.COMM_SUCCESS
        assert (read.getData(10, LED, 1), read.getData(11, GOAL, 4)) == (1, 1000)


def test_a_servo_of_another_baud_is_not_heard(port, packets):
    assert packets.write1ByteTxRx(port, 10, 8, 5) == OK  # 3 Mbaud
    assert packets.ping(port, 10)[1] == sdk.COMM_RX_TIMEOUT
    assert packets.ping(port, 11) == (1030, *OK)
    assert port.setBaudRate(3_000_000)
    assert packets.ping(port, 10) == (1030, *OK)
    assert packets.ping(port, 11)[1] == sdk.COMM_RX_TIMEOUT


def test_a_dropped_packet_is_a_timeout_and_the_next_one_is_fine(served, port, packets):
    served.inject(Fault("drop", id=10, count=1))
    assert packets.ping(port, 11)[1:] == OK
    assert packets.ping(port, 10)[1] == sdk.COMM_RX_TIMEOUT
    assert packets.ping(port, 10)[1:] == OK


def test_a_corrupted_packet_is_never_taken_for_a_good_one(served, port, packets):
    served.inject(Fault("corrupt", id=10, count=3))
    results = [packets.read4ByteTxRx(port, 10, PRESENT)[1] for _ in range(4)]
    assert sdk.COMM_SUCCESS not in results[:3]
    assert results[3] == sdk.COMM_SUCCESS


def test_a_late_packet_is_a_timeout(served, port, packets, monkeypatch):
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 16)
    served.inject(Fault("delay", id=10, count=1, seconds=0.1))
    assert packets.ping(port, 10)[1] == sdk.COMM_RX_TIMEOUT
    time.sleep(0.1)
    assert packets.ping(port, 10)[1:] == OK


def test_a_dead_servo_costs_the_fast_read_but_not_those_without_it(served, port, packets):
    served.inject(Fault("dead", id=20, seconds=0.5))
    group = sync_group(port, packets)
    assert group.fastSyncRead() == sdk.COMM_RX_TIMEOUT
    group.removeParam(20)
    assert group.fastSyncRead() == sdk.COMM_SUCCESS
    time.sleep(0.6)
    assert packets.ping(port, 20)[1:] == OK


def test_an_overload_is_seen_and_rebooted_away(served, port, packets):
    packets.write1ByteTxRx(port, 10, TORQUE, 1)
    served.inject(Fault("overload", id=10))
    time.sleep(0.02)
    assert packets.read1ByteTxRx(port, 10, 70) == (0x20, sdk.COMM_SUCCESS, Alert.HARDWARE)
    assert packets.read1ByteTxRx(port, 10, TORQUE)[0] == 0
    assert packets.reboot(port, 10)[0] == sdk.COMM_SUCCESS
    time.sleep(BOOT)
    assert packets.read1ByteTxRx(port, 10, 70) == (0, *OK)
