"""Configuration of one Allegro hand: its CAN bus, and order, signs and zeros of its joints."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from handlab_core.errors import BadConfig, shown
from handlab_core.hands import Hand, make_hand
from handlab_core.system.validation import Index, Name, Number, Sign, build, checked
from handlab_core.types import Array, IntArray
from handlab_hardware.allegro.gains import Gains, make_gains
from handlab_hardware.allegro.protocol import DEVICES, JOINTS, Version, make_version

V = TypeVar("V", bound=np.generic)

HAND = "allegro"

EACH_JOINT = Field(min_length=JOINTS, max_length=JOINTS)

Angle = Annotated[Number, Field(ge=-np.pi, le=np.pi)]


@checked
class AllegroConfig:
    """Section `allegro` of a station file.

    Joint angle = sign * angle on the wire - zero.
    """

    interface: Name = "socketcan"
    """Interface of python-can: socketcan, virtual, udp_multicast, slcan, pcan, ..."""
    channel: Name = "can0"
    device: Annotated[Index, Field(le=DEVICES[-1])] = 0
    """Device id that is set in the hand; factory value 0."""
    version: Name = "v4"
    side: Literal["right", "left"] = "right"
    gains: Name = "stiff"
    order: tuple[Name, ...] = make_hand(HAND).joints
    """Names of the hand's joints in the vendor's order, 0 to 15."""
    signs: Annotated[tuple[Sign, ...], EACH_JOINT] = (1,) * JOINTS
    """Signs, 1 or -1, in the order of `order`."""
    zeros: Annotated[tuple[Angle, ...], EACH_JOINT] = (0.0,) * JOINTS
    """rad; zeros in the order of `order`; a hand that the vendor has calibrated needs none."""

    def __post_init__(self) -> None:
        """Check version, gains and joint names."""
        make_version(self.version)
        make_gains(self.gains)
        joints = sorted(make_hand(HAND).joints)
        if sorted(self.order) != joints:
            raise BadConfig(
                f"order is {shown(self.order)}; it must be each of {', '.join(joints)} once"
            )

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "AllegroConfig":
        """Build from a section of a station file; raise BadConfig for unknown keys and values."""
        return build(cls, given, "allegro")

    @property
    def protocol(self) -> Version:
        """Return the protocol version of the hand."""
        return make_version(self.version)

    @property
    def controller(self) -> Gains:
        """Return the PD gains."""
        return make_gains(self.gains)


class Mounting:
    """Conversion between joints of the hand and joints on the wire: order, signs and zeros."""

    def __init__(self, config: AllegroConfig, hand: Hand) -> None:
        self._hand_at = np.array([hand.index(joint) for joint in config.order])
        self._wire_at: IntArray = np.argsort(self._hand_at)
        self._signs, self._zeros = np.array(config.signs), np.array(config.zeros)

    def q_from_wire(self, angle: Array) -> Array:
        """Convert wire angles to joint angles, both rad, (16,)."""
        q: Array = (self._signs * angle - self._zeros)[self._wire_at]
        return q

    def torque_from_wire(self, torque: Array) -> Array:
        """Convert wire torques to joint torques, both N m, (16,)."""
        in_order: Array = (self._signs * torque)[self._wire_at]
        return in_order

    def torque_to_wire(self, torque: Array) -> Array:
        """Convert joint torques to wire torques, both N m, (16,)."""
        on_the_wire: Array = self._signs * torque[self._hand_at]
        return on_the_wire

    def sort(self, of_wire: NDArray[V]) -> NDArray[V]:
        """Reorder values of the wire's joints into the hand's order, (16,)."""
        in_order: NDArray[V] = of_wire[self._wire_at]
        return in_order
