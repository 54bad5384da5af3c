"""The CAN bus under faults: full queues, garbage, other hands, a controller off the bus."""

import errno
import random
import socket
import time
from dataclasses import replace

import can
import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.types import Command
from handlab_hardware.allegro import can_bus as module
from handlab_hardware.allegro.backend import AllegroBackend
from handlab_hardware.allegro.can_bus import STANDARD_ID_END, CanBus, CanBusLost
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.emulator import check_free
from handlab_hardware.allegro.protocol import VERSIONS, Frame, Message, frame_id

HAND = make_hand("allegro")


UDP_PORT = 43113  # python-can's


FRAME = Frame(frame_id(Message.SYSTEM_ON, 0))


def command(backend, q):
    backend.step(Command(np.asarray(q)[None], HAND.max_effort[None]), None, 0.01)


def test_two_hands_on_one_machine_share_no_torque(group, wait_for, emulate, monkeypatch):
    """Linux would deliver the frames of both groups to all four sockets.

    One process carries two hands and two drivers; at a third of the frames a slow machine can.
    """
    monkeypatch.setitem(VERSIONS, "v4", replace(VERSIONS["v4"], periods=(9, 0, 500)))
    hands = [emulate("udp_multicast", group(n))[0] for n in (1, 2)]
    backends = [AllegroBackend(HAND, AllegroConfig("udp_multicast", group(n))) for n in (1, 2)]
    try:
        for backend in backends:
            backend.activate()
        up = np.clip(HAND.nominal + 0.2, HAND.lower, HAND.upper)
        goals = (up, HAND.nominal)

        def settled():
            for backend, goal in zip(backends, goals, strict=True):
                command(backend, goal)
            return all(np.abs(h.q - q).max() < 0.02 for h, q in zip(hands, goals, strict=True))

        wait_for(settled)
        for backend in backends:
            assert backend.motor_status.counts["unknown_frames"] == 0
        backends[0].deactivate()
        wait_for(lambda: not hands[0].servo_on)
        wait_for(lambda: hands[1].servo_on)  # its driver would not notice, and not turn it on
    finally:
        for backend in backends:
            backend.close()


def test_a_wire_hears_its_own_group_only_and_other_clients_of_it(group):
    with (
        can.Bus(interface="udp_multicast", channel=group(3)) as same,
        can.Bus(interface="udp_multicast", channel=group(4)) as other,
    ):
        wire = CanBus("udp_multicast", group(3))
        other.send(can.Message(arbitration_id=0x111, is_extended_id=False))
        same.send(can.Message(arbitration_id=0x222, is_extended_id=False))
        heard = wire.receive(1.0)
        assert heard is not None and heard.id == 0x222
        assert wire.receive(0.1) is None
        wire.close()


def test_a_second_hand_on_a_bus_is_refused(group, emulate):
    emulate("udp_multicast", group(5), device=1)
    wire = CanBus("udp_multicast", group(5))
    with pytest.raises(StationFault, match=r"device id 1 is on the CAN bus .* already"):
        check_free(wire, 1)
    check_free(wire, 0)
    wire.close()


def test_garbage_ends_neither_the_emulator_nor_the_driver(group, wait_for, emulate):
    """Datagrams of anything, and frames of every id and length, while the hand is driven."""
    hand, thread, wire = emulate("udp_multicast", group(6))
    backend = AllegroBackend(HAND, AllegroConfig("udp_multicast", group(6)))
    rng = random.Random(0)
    try:
        backend.activate()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line,
            can.Bus(interface="udp_multicast", channel=group(6)) as client,
        ):
            for _ in range(300):
                line.sendto(rng.randbytes(rng.randrange(200)), (group(6), UDP_PORT))
                message = rng.randrange(1, 1 << 11)
                if message >> 2 not in (Message.SYSTEM_OFF, Message.SET_PERIOD):
                    client.send(can.Message(
                        arbitration_id=message, is_extended_id=False,
                        is_remote_frame=rng.random() < 0.3,
                        data=rng.randbytes(rng.choice((0, 1, 2, 3, 5, 7))),
                    ))  # fmt: skip
                time.sleep(0.001)
        wait_for(lambda: backend.motor_status.counts["garbage_frames"] > 100)
        assert wire.counts["garbage_frames"] > 100
        target = np.clip(HAND.nominal + 0.2, HAND.lower, HAND.upper)

        def settled():
            command(backend, target)
            return np.abs(hand.q - target).max() < 0.02

        backend.deactivate()
        backend.activate()  # takes back errors that were made up
        wait_for(settled)
        assert thread.is_alive()
    finally:
        backend.close()


class Faulty(can.BusABC):
    """Bus with sending or receiving failures on request."""

    def __init__(self, channel, **options):
        super().__init__(channel=channel, **options)
        self.sent, self.failures, self.arriving = [], [], []

    def send(self, msg, timeout=None):
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(msg)

    def _recv_internal(self, timeout):
        found = self.arriving.pop(0) if self.arriving else None
        if isinstance(found, Exception):
            raise found
        return found, False


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setattr(module.can, "Bus", lambda interface, **options: Faulty(**options))
    return CanBus("socketcan", "can9")


def full():
    error = can.CanOperationError("Failed to transmit: No buffer space available")
    error.__cause__ = OSError(errno.ENOBUFS, "No buffer space available")
    return error


FULL = {
    "ENOBUFS as cause": full,
    "ENOBUFS as code": lambda: can.CanOperationError("Failed to transmit", errno.ENOBUFS),
    "ENOBUFS bare": lambda: OSError(errno.ENOBUFS, "No buffer space available"),
    "python-can's own": lambda: can.CanOperationError("Transmit buffer full"),
    "time is over": lambda: can.CanTimeoutError("the time is over"),
}


@pytest.mark.parametrize("kind", FULL)
def test_a_queue_that_is_full_for_a_moment_loses_nothing(faulty, kind):
    faulty._bus.failures = [FULL[kind]()]
    assert faulty.send(FRAME) and len(faulty._bus.sent) == 1
    assert faulty.counts["unsent_frames"] == 0 and not faulty.problems()


def test_a_queue_that_stays_full_drops_frames_counts_and_says_so(faulty, monkeypatch):
    waits = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    faulty._bus.failures = [full() for _ in range(module.TRIES + 9)]
    assert not any(faulty.send(FRAME) for _ in range(10))
    assert waits == [module.TRY_AGAIN] * (module.TRIES - 1)  # for the first frame only
    assert faulty.counts["unsent_frames"] == 10
    assert "takes no frames (10 were dropped)" in faulty.problems()[0]
    assert faulty.send(FRAME) and not faulty.problems()


def test_a_network_that_is_down_is_lost_and_can_be_opened_again(faulty):
    faulty._bus.failures = [can.CanOperationError("Failed to transmit", errno.ENETDOWN)]
    with pytest.raises(CanBusLost, match="does not send"):
        faulty.send(FRAME)
    faulty._bus.arriving = [can.CanOperationError("Error receiving: Network is down")]
    with pytest.raises(CanBusLost, match="does not receive"):
        faulty.receive(0.0)
    assert faulty.counts["bus_errors"] == 2
    faulty.reopen()
    assert faulty.send(FRAME)


def error_frame(bits):
    return can.Message(arbitration_id=bits, is_error_frame=True, is_extended_id=False)


@pytest.mark.parametrize("back", [error_frame(module.CAN_ERR_RESTARTED), can.Message(
    arbitration_id=0x80, is_extended_id=False
)])  # fmt: skip
def test_a_controller_off_the_bus_is_reported_until_it_is_back(faulty, back):
    faulty._bus.arriving = [error_frame(module.CAN_ERR_BUSOFF), error_frame(0x4), back]
    for _ in range(2):
        assert faulty.receive(0.0).id == STANDARD_ID_END
        assert "off the bus" in faulty.problems()[0] and "can9" in faulty.problems()[0]
    faulty.receive(0.0)
    assert not faulty.problems() and faulty.counts["bus_errors"] >= 2


def test_flushing_a_flooded_bus_ends(faulty, monkeypatch):
    monkeypatch.setattr(faulty, "receive", lambda timeout: FRAME)
    faulty.flush()


def test_the_driver_goes_through_full_queues_and_a_network_that_goes_down(
    wait_for, emulate, monkeypatch
):
    """On the backend's own path: reported, counted, and driven on."""
    channel = "through_faults"
    hand, _, _ = emulate("virtual", channel)
    backend = AllegroBackend(HAND, AllegroConfig("virtual", channel))
    try:
        backend.activate()
        send, faults = type(backend._wire._bus).send, []

        def failing(bus, message, timeout=None):
            if faults and bus is backend._wire._bus:
                raise faults[0]
            send(bus, message, timeout)

        monkeypatch.setattr(type(backend._wire._bus), "send", failing)
        faults.append(full())
        wait_for(lambda: backend.motor_status.counts["unsent_frames"] > 5)
        assert any("takes no frames" in problem for problem in backend.motor_status.problems)
        faults.clear()
        wait_for(
            lambda: not backend.motor_status.problems and backend.motor_status.hand.torque.all()
        )
        assert backend.motor_status.counts["bus_failures"] == 0
        faults.append(OSError(errno.ENETDOWN, "Network is down"))
        wait_for(lambda: backend.motor_status.counts["bus_failures"] == 1)
        assert "opened again when it is back" in backend.motor_status.problems[0]
        time.sleep(0.7)  # it is tried again, and is down still
        assert backend.motor_status.counts["bus_failures"] <= 2
        faults.clear()
        wait_for(lambda: backend.motor_status.hand.torque.all() and hand.servo_on)
    finally:
        monkeypatch.undo()
        backend.close()
    wait_for(lambda: not hand.servo_on)


def test_motors_that_could_not_be_turned_off_are_turned_off_when_the_queue_has_room(
    wait_for, emulate, monkeypatch
):
    hand, _, _ = emulate("virtual", "off_late")
    backend = AllegroBackend(HAND, AllegroConfig("virtual", "off_late"))
    try:
        backend.activate()
        wait_for(lambda: hand.servo_on)
        send, blocked = type(backend._wire._bus).send, [True]

        def failing(bus, message, timeout=None):
            if blocked and bus is backend._wire._bus:
                raise full()
            send(bus, message, timeout)

        monkeypatch.setattr(type(backend._wire._bus), "send", failing)
        backend.deactivate()
        time.sleep(0.1)
        assert hand.servo_on
        blocked.clear()
        wait_for(lambda: not hand.servo_on, 1.0)
    finally:
        monkeypatch.undo()
        backend.close()


def test_a_v5_hand_is_driven_over_udp_from_start_to_end(group, wait_for, emulate):
    """Its angles come only while its motors are on, so that they go on with zero torque first."""
    hand, _, _ = emulate("udp_multicast", group(8), version=VERSIONS["v5"])
    backend = AllegroBackend(HAND, AllegroConfig("udp_multicast", group(8), version="v5"))
    try:
        assert hand.servo_on and not hand.counts.any()
        backend.activate()
        goal = np.clip(HAND.nominal + 0.2, HAND.lower, HAND.upper)

        def reached():
            command(backend, goal)
            return np.abs(backend.read().hand.q[0] - goal).max() < 0.02

        wait_for(reached)
        backend.deactivate()
        wait_for(lambda: not hand.counts.any())
        stamp = backend.read().hand.stamp[0]
        wait_for(lambda: backend.read().hand.stamp[0] > stamp)
    finally:
        backend.close()
    wait_for(lambda: not hand.servo_on)
