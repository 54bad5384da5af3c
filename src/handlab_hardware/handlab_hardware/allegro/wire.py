"""A CAN bus for frames of the Allegro hand; the only module here that knows python-can."""

import time

import can

from handlab_core.errors import StationFault
from handlab_hardware.allegro.protocol import BITRATE, Frame

BRING_UP = f"ip link set {{channel}} up type can bitrate {BITRATE}"
STANDARD_ID_END = 1 << 11

LONGEST_WAIT = 1.0
"""s. A frame whose stamp says that it waited for longer has a stamp of another clock: python-can's
socketcan, udp_multicast and virtual give the time of day, some adapters a time of their own."""


class WireLost(StationFault):
    """The bus does not take or give frames any more."""


class Wire:
    """One python-can bus.

    Args:
        interface: a name that python-can knows: socketcan, virtual, udp_multicast, slcan, ...
        channel: of that interface.

    Raises:
        StationFault: the bus cannot be opened; says what to do.
    """

    def __init__(self, interface: str, channel: str) -> None:
        self.name = f"{channel} ({interface})"
        try:
            self._bus = can.Bus(interface=interface, channel=channel, bitrate=BITRATE)
        except (can.CanError, OSError, ImportError, ValueError) as error:
            raise StationFault(
                f"cannot open the CAN bus {self.name}: {error}; {_advice(interface, channel)}"
            ) from error

    def send(self, frame: Frame) -> None:
        """Send a frame; WireLost if the bus does not take it."""
        message = can.Message(
            arbitration_id=frame.id,
            data=frame.data,
            is_remote_frame=frame.remote,
            is_extended_id=False,
        )
        try:
            self._bus.send(message)
        except (can.CanError, OSError) as error:
            raise WireLost(f"the CAN bus {self.name} does not send: {error}") from error

    def receive(self, timeout: float) -> Frame | None:
        """The next frame, or None after `timeout` [s]; WireLost if the bus is gone.

        Error frames and 29-bit ids, which are nobody's here, come as a frame with an id above 11
        bits.
        """
        try:
            message = self._bus.recv(timeout)
        except (can.CanError, OSError) as error:
            raise WireLost(f"the CAN bus {self.name} does not receive: {error}") from error
        if message is None:
            return None
        known = not message.is_error_frame and not message.is_extended_id
        number = message.arbitration_id if known else STANDARD_ID_END | message.arbitration_id
        waited = time.time() - message.timestamp
        waited = waited if 0.0 <= waited <= LONGEST_WAIT else 0.0
        return Frame(number, bytes(message.data), message.is_remote_frame, waited)

    def flush(self) -> None:
        """Throw away what has arrived."""
        while self.receive(0.0) is not None:
            pass

    def close(self) -> None:
        """Close the bus; twice is harmless."""
        self._bus.shutdown()


def _advice(interface: str, channel: str) -> str:
    if interface == "socketcan":
        return f"plug in the adapter and run: sudo {BRING_UP.format(channel=channel)}"
    if interface == "udp_multicast":
        return "it needs the package msgpack and a multicast address such as 239.74.163.2"
    return "check interface and channel; `python -m can.viewer --help` lists the interfaces"
