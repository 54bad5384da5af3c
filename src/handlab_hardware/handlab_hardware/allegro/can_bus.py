"""CAN bus of an Allegro hand; only this module imports python-can.

| fault                                           | consequence                                  |
|-------------------------------------------------|----------------------------------------------|
| the transmit queue is full (ENOBUFS and others) | TRIES attempts, then the frame is dropped    |
| a datagram holds no CAN frame                   | counted, and returned as an unknown frame    |
| the controller is off the bus (error frame)     | reported until a frame arrives               |
| the network is down, the adapter is gone        | `CanBusLost`; `reopen` opens the bus again     |

All faults are counted.
"""

import errno
import os
import socket
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import can

from handlab_core.errors import StationFault
from handlab_hardware.allegro.protocol import BITRATE, Frame

BRING_UP = f"ip link set {{channel}} up type can bitrate {BITRATE} restart-ms 100"
STANDARD_ID_END = 1 << 11
UNKNOWN = Frame(STANDARD_ID_END)
"""Unknown frame: its id is above the range of 11-bit ids, so that no message matches."""

LONGEST_WAIT = 1.0
"""s; longest plausible time between arrival and reading of a frame.

A longer time means that the stamp is of another clock. The interfaces socketcan, udp_multicast and
virtual stamp with the time of day, some adapters with a clock of their own."""

FULL = {errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM, errno.EINTR}
FULL_TEXT = "Transmit buffer full"
"""Errors of a full transmit queue, and the text of the same error in python-can's socketcan."""
TRIES, TRY_AGAIN = 3, 0.0005
"""Number of attempts to send a frame, and the time between them, s. A frame takes 0.13 ms at
1 Mbit/s."""
GARBAGE_TEXT = "could not unpack"
"""Error text of python-can's udp_multicast for a datagram without a CAN frame."""
MOST_FLUSHED = 10_000
"""Largest number of discarded frames; a flooded bus never runs empty."""

CAN_ERR_BUSOFF, CAN_ERR_RESTARTED = 0x40, 0x100  # linux/can/error.h
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29  # linux/in.h, linux/in6.h
HOST_ONLY = 0
"""Hop limit of multicast datagrams: frames of an emulated hand stay on this machine."""


class CanBusLost(StationFault):
    """The bus no longer sends or receives frames."""


class CanBus:
    """One python-can bus.

    Args:
        interface: interface of python-can: socketcan, virtual, udp_multicast, slcan, ...
        channel: channel of the interface.

    Raises:
        StationFault: the bus cannot be opened; the message names the remedy.
    """

    def __init__(self, interface: str, channel: str) -> None:
        self.name = f"{channel} ({interface})"
        self.counts: Counter[str] = Counter(unsent_frames=0, garbage_frames=0, bus_errors=0)
        self.bus_off = self.full = False
        """Whether the controller is off the bus; whether the newest frame was dropped."""
        self._interface, self._channel = interface, channel
        self._bus = self._open()

    def _open(self) -> can.BusABC:
        options: dict[str, Any] = {"channel": self._channel, "bitrate": BITRATE}
        if self._interface == "udp_multicast":
            options["hop_limit"] = HOST_ONLY
        try:
            bus = can.Bus(interface=self._interface, **options)
            if self._interface == "udp_multicast":
                _only_own_group(bus.fileno())
        except (can.CanError, OSError, ImportError, ValueError) as error:
            raise StationFault(
                f"cannot open the CAN bus {self.name}: {error}; "
                f"{_advice(self._interface, self._channel)}"
            ) from error
        return bus

    def reopen(self) -> None:
        """Close the bus and open it again; raise StationFault if opening fails."""
        self.close()
        self._bus = self._open()
        self.bus_off = self.full = False

    def send(self, frame: Frame) -> bool:
        """Send a frame; return whether the transmit queue accepted it.

        Raises:
            CanBusLost: the bus is gone.
        """
        message = can.Message(
            arbitration_id=frame.id,
            data=frame.data,
            is_remote_frame=frame.remote,
            is_extended_id=False,
        )
        # One attempt only if the last frame met a full queue: waiting would delay other work.
        for left in reversed(range(1 if self.full else TRIES)):
            try:
                self._bus.send(message)
            except (can.CanError, OSError) as error:
                if not _is_full(error):
                    self.counts["bus_errors"] += 1
                    raise CanBusLost(f"the CAN bus {self.name} does not send: {error}") from error
                if left:
                    time.sleep(TRY_AGAIN)
            else:
                self.full = False
                return True
        self.full = True
        self.counts["unsent_frames"] += 1
        return False

    def receive(self, timeout: float) -> Frame | None:
        """Return the next frame, or None after a timeout, s.

        Error frames, frames with 29-bit ids and invalid datagrams have ids above 11 bits.

        Raises:
            CanBusLost: the bus is gone.
        """
        try:
            message = self._bus.recv(timeout)
        except (can.CanError, OSError) as error:
            if GARBAGE_TEXT in str(error):
                self.counts["garbage_frames"] += 1
                return UNKNOWN
            self.counts["bus_errors"] += 1
            raise CanBusLost(f"the CAN bus {self.name} does not receive: {error}") from error
        if message is None:
            return None
        if message.is_error_frame:
            self.counts["bus_errors"] += 1
            self.bus_off = bool(message.arbitration_id & CAN_ERR_BUSOFF) or (
                self.bus_off and not message.arbitration_id & CAN_ERR_RESTARTED
            )
            return UNKNOWN
        self.bus_off = False
        known = not message.is_extended_id
        number = message.arbitration_id if known else STANDARD_ID_END | message.arbitration_id
        waited = time.time() - message.timestamp
        waited = waited if 0.0 <= waited <= LONGEST_WAIT else 0.0
        return Frame(number, bytes(message.data), message.is_remote_frame, waited)

    def flush(self) -> None:
        """Discard all frames that have arrived."""
        for _ in range(MOST_FLUSHED):
            if self.receive(0.0) is None:
                return

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for each present fault of the bus."""
        found = []
        if self.bus_off:
            found.append(
                f"the CAN controller of {self.name} is off the bus: check cable, termination and "
                f"bit rate; it recovers by itself after: sudo {BRING_UP}".format(
                    channel=self._channel
                )
            )
        if self.full:
            found.append(
                f"the CAN bus {self.name} takes no frames ({self.counts['unsent_frames']} were "
                "dropped) because none is acknowledged; check the hand's power and the cable"
            )
        return tuple(found)

    def close(self) -> None:
        """Close the bus; a second call has no effect."""
        with suppress(can.CanError, OSError):  # an adapter that is gone
            self._bus.shutdown()


def _only_own_group(descriptor: int) -> None:
    """Restrict a multicast socket to its own group.

    Without this option Linux delivers all groups joined by any process of the machine to every
    socket of the port (ip(7), IP_MULTICAST_ALL).
    """
    with socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family == socket.AF_INET6:
            same.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        else:
            same.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)


def _is_full(error: Exception) -> bool:
    """Return whether an error means a full transmit queue."""
    codes = {getattr(error, "error_code", None), getattr(error, "errno", None)}
    codes.add(getattr(error.__cause__, "errno", None))
    return bool(codes & FULL) or FULL_TEXT in str(error) or isinstance(error, can.CanTimeoutError)


def _advice(interface: str, channel: str) -> str:
    if interface == "socketcan":
        return f"plug in the adapter and run: sudo {BRING_UP.format(channel=channel)}"
    if interface == "udp_multicast":
        return "it needs the package msgpack and a multicast address such as 239.74.163.2"
    return "check interface and channel; `python -m can.viewer --help` lists the interfaces"
