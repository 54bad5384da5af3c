"""The facts of one Allegro hand: where its bus is and how its joints are mounted."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from handlab_core.errors import BadConfig, shown
from handlab_core.hands import Hand, make_hand
from handlab_core.system.validation import Index, Name, Number, Sign, build, checked
from handlab_core.types import Array, IntArray
from handlab_hardware.allegro.gains import Gains, make_gains
from handlab_hardware.allegro.protocol import DEVICES, JOINTS, Version, make_version

HAND = "allegro"

EACH_JOINT = Field(min_length=JOINTS, max_length=JOINTS)

Angle = Annotated[Number, Field(ge=-np.pi, le=np.pi)]


@checked
class AllegroConfig:
    """What the section `allegro` of a station file may say.

    A joint's angle is its sign times the hand's own angle, minus its zero.
    """

    interface: Name = "socketcan"
    """Of python-can: socketcan, virtual, udp_multicast, slcan, pcan, ..."""
    channel: Name = "can0"
    device: Annotated[Index, Field(le=DEVICES[-1])] = 0
    """Set in the hand, 0 as delivered."""
    version: Name = "v4"
    side: Literal["right", "left"] = "right"
    gains: Name = "stiff"
    order: tuple[Name, ...] = make_hand(HAND).joints
    """The hand's joints in the order of the vendor's, 0 to 15."""
    signs: Annotated[tuple[Sign, ...], EACH_JOINT] = (1,) * JOINTS
    """1 or -1, in the order of `order`."""
    zeros: Annotated[tuple[Angle, ...], EACH_JOINT] = (0.0,) * JOINTS
    """rad, in the order of `order`; a hand that is calibrated by the vendor needs none."""

    def __post_init__(self) -> None:
        """Check what depends on the hand and on the versions there are."""
        make_version(self.version)
        make_gains(self.gains)
        joints = sorted(make_hand(HAND).joints)
        if sorted(self.order) != joints:
            raise BadConfig(
                f"order is {shown(self.order)}; it must be each of {', '.join(joints)} once"
            )

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "AllegroConfig":
        """Build from a section of a station file; BadConfig for unknown keys and bad values."""
        return build(cls, given, "allegro")

    @property
    def protocol(self) -> Version:
        """The version's ids, units and clips."""
        return make_version(self.version)

    @property
    def controller(self) -> Gains:
        """The gains by their name."""
        return make_gains(self.gains)


class Mounting:
    """Between the order, signs and zeros of a hand's joints and those of the wire."""

    def __init__(self, config: AllegroConfig, hand: Hand) -> None:
        self._hand_at = np.array([hand.index(joint) for joint in config.order])
        self._wire_at: IntArray = np.argsort(self._hand_at)
        self._signs, self._zeros = np.array(config.signs), np.array(config.zeros)

    def q_from_wire(self, angle: Array) -> Array:
        """Joint angles [rad] in the hand's order, (16,), of the hand's own angles."""
        q: Array = (self._signs * angle - self._zeros)[self._wire_at]
        return q

    def torque_from_wire(self, torque: Array) -> Array:
        """Torques [N m] in the hand's order, (16,), of the wire's."""
        in_order: Array = (self._signs * torque)[self._wire_at]
        return in_order

    def torque_to_wire(self, torque: Array) -> Array:
        """The inverse of `torque_from_wire`."""
        on_the_wire: Array = self._signs * torque[self._hand_at]
        return on_the_wire

    def sort(self, of_wire: Array) -> Array:
        """Any value of the wire's joints, (16,), in the hand's order."""
        return of_wire[self._wire_at]
