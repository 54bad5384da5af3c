"""Which servo is which joint of which group."""

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import Hand
from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.objects.fixture import BARE, FIXTURES, Fixture
from handlab_core.safety import limits as safety
from handlab_core.types import Array, Command
from handlab_hardware.dynamixel.arming import Plan, make_plan
from handlab_hardware.station_file import DynamixelSection, StationFile

GROUPS = (HAND, FIXTURE)
"""In the order of the servos."""


class Layout:
    """The servos of one station, those of the hand before that of the fixture.

    Args:
        hand: the station's hand.
        fixture: what holds the object.
        station: which servos there are; all of a group, or none.

    Raises:
        BadConfig: the station file is for another hand or fixture, or names no servos.
    """

    def __init__(self, hand: Hand, fixture: Fixture, station: StationFile) -> None:
        self.section = _section(hand, fixture, station)
        self.joints = {HAND: hand.joints, FIXTURE: (fixture.joint,)}
        self._bare = fixture.name == BARE
        self.limits = {
            HAND: safety.Limits.of_hand(hand),
            FIXTURE: safety.Limits.of_fixture(fixture),
        }
        self.plans: list[Plan] = []
        self.places: dict[str, slice] = {}
        """Group to the places of its joints in every array over servos; empty if not served."""
        servos = {servo.joint: servo for servo in self.section.servos}
        for group in GROUPS:
            begin, limits = len(self.plans), self.limits[group]
            ends = zip(limits.lower.tolist(), limits.upper.tolist(), strict=True)
            for joint, (lower, upper) in zip(self.joints[group], ends, strict=True):
                if joint in servos:
                    self.plans.append(make_plan(servos[joint], lower, upper, self.section.mode))
            self.places[group] = slice(begin, len(self.plans))

    @property
    def n(self) -> int:
        """Number of servos."""
        return len(self.plans)

    @property
    def served(self) -> tuple[str, ...]:
        """The groups that have servos."""
        return tuple(g for g in GROUPS if self.places[g].start < self.places[g].stop)

    @property
    def no_fixture(self) -> bool:
        """Whether the task needs no fixture and the station has none: it then rests at zero."""
        return self._bare and self.served == (HAND,)

    @property
    def max_effort(self) -> Array:
        """How hard each joint may push, (n,) N m."""
        return np.concatenate([self.limits[group].max_effort for group in self.served])

    def group_of(self, place: int) -> str:
        """Group of a servo."""
        return HAND if place < self.places[HAND].stop else FIXTURE

    def place(self, joint: str) -> int:
        """Place of a joint's servo; an unknown joint raises UnknownName."""
        joints = [plan.servo.joint for plan in self.plans]
        if joint not in joints:
            raise UnknownName("joint of this station", joint, joints)
        return joints.index(joint)

    def in_order(self, hand: Array, fixture: Array) -> Array:
        """Values of all servos, (n,), from those of both groups, (1, joints of the group) each."""
        values = {HAND: hand, FIXTURE: fixture}
        return np.concatenate([values[group][0] for group in self.served])

    def joined(self, hand: Command, fixture: Command | None) -> tuple[Array, Array]:
        """Targets [rad] and efforts [N m] of all servos, (n,) each; None has no effort.

        Raises:
            ValueError: a command has the wrong shape.
        """
        target, effort = np.zeros((2, self.n))
        for group, command in ((HAND, hand), (FIXTURE, fixture)):
            if command is None:
                continue
            shape = (1, len(self.joints[group]))
            if command.q.shape != shape or command.effort.shape != shape:
                raise ValueError(
                    f"the {group}'s command has shapes {command.q.shape} and "
                    f"{command.effort.shape}; it must be {shape}"
                )
            if group in self.served:
                places = self.places[group]
                target[places], effort[places] = command.q[0], command.effort[0]
        return target, effort


def _section(hand: Hand, fixture: Fixture, station: StationFile) -> DynamixelSection:
    mounted = FIXTURES.make(station.fixture)
    # A task that asks for nothing on the fixture's motor leaves alone what is there.
    serves = mounted.name == fixture.name or (
        fixture.name == BARE and mounted.joint == fixture.joint
    )
    if station.hand != hand.name or not serves:
        raise BadConfig(
            f"{station.path} is for {station.hand} and {station.fixture}, "
            f"not for {hand.name} and {fixture.name}: say there what is mounted, or choose a task "
            "for it"
        )
    if station.dynamixel is None:
        raise BadConfig(f"{station.path} names no servos: it has no section `dynamixel`")
    return station.dynamixel
