"""The facts of one Allegro hand: where its bus is and how its joints are mounted."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand, make_hand
from handlab_core.types import Array, IntArray
from handlab_hardware.allegro.gains import Gains, make_gains
from handlab_hardware.allegro.protocol import DEVICES, JOINTS, SIDES, Version, make_version

HAND = "allegro"


@dataclass(frozen=True)
class AllegroConfig:
    """What the section `allegro` of a station file may say.

    A joint's angle is its sign times the hand's own angle, minus its zero.
    """

    interface: str = "socketcan"
    """Of python-can: socketcan, virtual, udp_multicast, slcan, pcan, ..."""
    channel: str = "can0"
    device: int = 0
    """Set in the hand, 0 as delivered."""
    version: str = "v4"
    side: str = "right"
    gains: str = "stiff"
    order: tuple[str, ...] = make_hand(HAND).joints
    """The hand's joints in the order of the vendor's, 0 to 15."""
    signs: tuple[int, ...] = (1,) * JOINTS
    """1 or -1, in the order of `order`."""
    zeros: tuple[float, ...] = (0.0,) * JOINTS
    """rad, in the order of `order`; a hand that is calibrated by the vendor needs none."""

    def __post_init__(self) -> None:
        """Check every value; BadConfig says what is allowed."""
        make_version(self.version)
        make_gains(self.gains)
        for field in ("interface", "channel"):
            value = getattr(self, field)
            _check(isinstance(value, str) and bool(value), field, value, "a name")
        device = isinstance(self.device, int) and self.device in DEVICES
        _check(device, "device", self.device, f"{DEVICES[0]} to {DEVICES[-1]}")
        _check(self.side in SIDES, "side", self.side, " or ".join(SIDES))
        joints = sorted(make_hand(HAND).joints)
        each_once = sorted(map(str, self.order)) == joints
        _check(each_once, "order", self.order, f"each of {', '.join(joints)} once")
        signs = len(self.signs) == JOINTS and all(sign in (1, -1) for sign in self.signs)
        _check(signs, "signs", self.signs, f"{JOINTS} times 1 or -1")
        zeros = len(self.zeros) == JOINTS and all(_is_angle(zero) for zero in self.zeros)
        _check(zeros, "zeros", self.zeros, f"{JOINTS} angles in rad")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "AllegroConfig":
        """Build from a section of a station file; BadConfig for unknown keys and bad values."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, set(given) - known)):
            raise BadConfig(
                f"allegro: unknown keys: {', '.join(unknown)}; there is: {', '.join(sorted(known))}"
            )
        lists = {"order", "signs", "zeros"}
        for key in lists & set(given):
            _check(isinstance(given[key], list | tuple), key, given[key], "a list")
        values: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in given.items()}
        return cls(**values)

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

    def q_to_wire(self, q: Array) -> Array:
        """The inverse of `q_from_wire`."""
        angle: Array = self._signs * (q[self._hand_at] + self._zeros)
        return angle

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


def _is_angle(value: object) -> bool:
    return isinstance(value, int | float) and bool(abs(value) <= np.pi)


def _check(good: bool, field: str, value: object, allowed: str) -> None:
    if not good:
        raise BadConfig(f"allegro: {field} is {value!r}; it can be {allowed}")
