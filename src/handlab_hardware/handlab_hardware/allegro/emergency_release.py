"""Emergency release of an Allegro hand, called by the guardian process; see `guardian`."""

from handlab_core.errors import StationFault
from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.protocol import FINGERS, Frame, Message, frame_id


def let_go(bus: str, device: str) -> None:
    """Send zero torque and SYSTEM_OFF; the protocol has no confirmation.

    Args:
        bus: `interface:channel` of python-can.
        device: device id of the hand.

    Raises:
        OSError: the bus cannot be used.
    """
    interface, _, channel = bus.partition(":")
    zero = [Frame(frame_id(Message.SET_TORQUE + i, int(device)), bytes(8)) for i in range(FINGERS)]
    try:
        wire = CanBus(interface, channel)
        try:
            sent = [wire.send(frame) for frame in zero]
            sent.append(wire.send(Frame(frame_id(Message.SYSTEM_OFF, int(device)))))
        finally:
            wire.close()
    except StationFault as error:
        raise OSError(str(error)) from error
    if not sent[-1]:
        raise OSError(f"the CAN bus {bus} takes no frames")
