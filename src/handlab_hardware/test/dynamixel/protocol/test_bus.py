import os
import select
import threading
import time
import tty
from contextlib import closing, suppress

import numpy as np
import pytest

from handlab_hardware.dynamixel.emulator import Fault
from handlab_hardware.dynamixel.emulator.firmware.packet import Code, Parser, fast_status, status
from handlab_hardware.dynamixel.failures import FAST_FAILURES, PacketLost, PortGone, ServoRefused
from handlab_hardware.dynamixel.protocol import serial_port
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.registers import REGISTERS

IDS = [10, 11, 12]


POSITION = REGISTERS["present_position"]


def positions(bus, ids=IDS):
    return bus.read_all(ids, POSITION.address, POSITION.size)


def test_a_ping_returns_model_and_firmware(make):
    _, bus = make(models=("XL430-W250",), firmware=44)
    assert (bus.ping(11).model_number, bus.ping(11).firmware) == (1060, 44)


@pytest.mark.parametrize("value", [0, 1, -1, -131_073, 0x7FFF_FFFF, -(2**31), 0x00FD_FFFF])
def test_what_is_written_is_read_stuffed_or_not(pair, value):
    """-131073 is FF FF FD FF on the wire, a header inside of a packet."""
    _, bus = pair
    bus.write(10, "operating_mode", 4)
    time.sleep(0.02)  # a change of mode sets the goal to the present position
    if abs(value) > 1_048_575:  # the extended mode's range
        with pytest.raises(ServoRefused, match="10"):
            bus.write(10, "goal_position", value)
        return
    bus.write(10, "goal_position", value)
    assert bus.read(10, "goal_position") == value
    bus.sync_write("goal_position", {10: 5, 11: 6})
    bus.sync_write("goal_position", {10: value, 11: value & 0xFFF})
    assert bus.read(10, "goal_position") == value
    assert bus.read(11, "goal_position") == value & 0xFFF
    assert not bus.counts["retries"]


def test_a_refusal_names_servo_and_reason(pair):
    _, bus = pair
    with pytest.raises(ServoRefused, match="servo 11 cannot be read or written"):
        bus.write(11, "present_position", 1)
    bus.write(11, "torque_enable", 1)
    with pytest.raises(ServoRefused, match="torque is on"):
        bus.write(11, "operating_mode", 4)
    assert bus.counts["retries"] == 0, "a refusal is an answer"


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
def test_one_lost_packet_costs_one_retry(pair, fault):
    port, bus = pair
    port.inject(Fault(fault, id=11, count=1))
    assert bus.read(11, "id") == 11
    assert (bus.counts["retries"], bus.counts["lost_packets"]) == (1, 1)
    port.inject(Fault(fault, id=11, count=2))
    with pytest.raises(PacketLost, match="servo 11"):
        bus.read(11, "id")


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
@pytest.mark.parametrize("fast", [True, False])
def test_one_lost_packet_loses_nothing_of_a_common_read(pair, fault, fast):
    port, bus = pair
    bus.fast = fast
    port.inject(Fault(fault, id=11, count=1))
    assert positions(bus).keys() == set(IDS)
    assert bus.counts["retries"] >= 1
    assert bus.fast is fast


def test_a_silent_servo_is_a_lost_packet_that_names_it(pair):
    port, bus = pair
    port.inject(Fault("dead", id=11))
    with pytest.raises(PacketLost, match="servo 11"):
        bus.read(11, "present_position")
    assert bus.counts["retries"] == 1 and bus.counts["lost_packets"] == 2


@pytest.mark.parametrize("dead", IDS)
@pytest.mark.parametrize("fast", [True, False])
def test_one_dead_servo_hides_no_other(pair, dead, fast):
    port, bus = pair
    bus.fast = fast
    port.inject(Fault("dead", id=dead))
    assert positions(bus).keys() == set(IDS) - {dead}


def test_fast_reads_are_given_up_after_some_failures(make):
    _, bus = make(firmware=44)
    bus.fast = True
    for _ in range(FAST_FAILURES):
        assert bus.fast
        assert positions(bus).keys() == set(IDS)
    assert not bus.fast and not bus.fast_works
    retries = bus.counts["retries"]
    positions(bus)
    assert bus.counts["retries"] == retries


def test_the_alert_bit_marks_the_servo_with_the_error(pair):
    port, bus = pair
    port.inject(Fault("overload", id=12))
    for bus.fast in (True, False):
        assert {i: a.alert for i, a in positions(bus).items()} == {10: False, 11: False, 12: True}


@pytest.mark.parametrize("fast", [True, False])
def test_an_answer_that_comes_late_or_twice_is_never_taken_for_a_new_one(pair, fast):
    """Every answer must show what was written right before it was asked for."""
    port, bus = pair
    goal = REGISTERS["goal_position"]
    rng = np.random.default_rng(1)
    given = 0
    for k in range(1, 120):
        if rng.random() < 0.3:
            late, id = rng.uniform(0.005, 0.03), int(rng.choice(IDS))
            port.inject(Fault("delay", id=id, count=1, seconds=late))
        if rng.random() < 0.1:
            port.inject(Fault("duplicate", count=1))
        bus.fast = fast
        bus.sync_write("goal_position", dict.fromkeys(IDS, k))
        for answer in bus.read_all(IDS, goal.address, goal.size).values():
            assert int.from_bytes(answer.data, "little") == k
            given += 1
        with suppress(PacketLost):  # two of the faults may meet
            bus.write(11, "led", k % 2)
            assert bus.read(11, "led") == k % 2
    assert given > 200


class BusyAdapter:
    """Servos behind an adapter that, once, brings what it should have brought a cycle before.

    Every read is answered with `value`; while `holding`, answers are kept, and come with the next
    instruction, alone and long before its own.
    """

    def __init__(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        self.value, self.holding, self.held = 0, False, []
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        parser = Parser()
        while not self.closing.is_set():
            if not select.select([self.master], [], [], 0.01)[0]:
                continue
            for instruction in parser.feed(os.read(self.master, 4096)):
                size = int.from_bytes(instruction.params[2:4], "little")
                data = self.value.to_bytes(4, "little") + bytes(size - 4)
                single = instruction.code == Code.READ
                ids = [instruction.id] if single else list(instruction.params[4:])
                if instruction.code == Code.FAST_SYNC_READ:
                    answer = fast_status([(0, id, data) for id in ids])
                else:
                    answer = b"".join(status(id, 0, data) for id in ids)
                if self.holding:
                    self.held.append(answer)
                    continue
                if self.held:
                    time.sleep(0.004)  # as if it had just come over the wire
                    os.write(self.master, b"".join(self.held[:1]))
                    self.held.clear()
                    time.sleep(0.006)
                os.write(self.master, answer)

    def close(self):
        self.closing.set()
        self.thread.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("fast", [True, False])
def test_an_answer_that_comes_a_cycle_late_and_alone_is_never_taken_for_a_new_one(fast):
    with closing(BusyAdapter()) as adapter, closing(ServoBus(adapter.name, 1_000_000)) as bus:
        given = 0
        for value in range(1, 40):
            bus.fast, adapter.value, adapter.holding = fast, value, value % 3 == 1
            answers = {int.from_bytes(a.data, "little") for a in positions(bus).values()}
            assert answers <= {value}
            given += bool(answers)
            assert not (answers and adapter.holding)
    assert given > 10  # of 26: a busy machine may lose some


def test_a_servo_that_answers_only_pings_is_waited_for_no_longer_than_needed(pair, monkeypatch):
    """Counted by the timeouts of the waits for bytes."""
    port, bus = pair
    port.inject(Fault("dead"))
    waits, real = [], select.select

    def noted(reading, *rest):
        if reading == [bus._port._fd]:
            waits.append(rest[-1])
        return real(reading, *rest)

    monkeypatch.setattr(serial_port.select, "select", noted)
    with pytest.raises(PacketLost):
        bus.ping(10, retries=0)
    assert 0.0 < sum(waits) < 2 * serial_port.SLACK


def test_an_unplugged_adapter_is_one_error_everywhere(pair):
    port, bus = pair
    port.inject(Fault("unplug", seconds=60))
    deadline = time.monotonic() + 60
    while os.path.lexists(port.name) and time.monotonic() < deadline:
        time.sleep(0.001)
    for use in (
        lambda: bus.ping(10),
        lambda: positions(bus),
        lambda: bus.sync_write("goal_position", {10: 1}),
    ):
        with pytest.raises(PortGone, match=str(port.name)):
            use()


def test_traffic_counts_every_byte(pair):
    _, bus = pair
    before = bus.traffic
    bus.ping(10)
    assert bus.traffic - before == 10 + 14


def test_a_scan_finds_every_servo_with_its_model_and_firmware(make):
    port, bus = make(models=("XM430-W210", "XL430-W250", "XL330-M288"))
    found = bus.scan()
    assert {id: who.model_number for id, who in found.items()} == {10: 1030, 11: 1060, 12: 1200}
    assert bus.read(10, "id") == 10, "the bus can be used after a scan"
    port.inject(Fault("dead", id=11))
    bus.ping(12)
    assert set(bus.scan()) == {10, 12}


def test_a_broken_answer_to_a_scan_is_left_out(make):
    port, bus = make()
    port.inject(Fault("corrupt", id=11, count=1))
    bus.ping(12)
    assert [set(bus.scan()), set(bus.scan())] == [{10, 12}, {10, 11, 12}]
