"""Layout of a servo station: order of the servos, and their joints and groups."""

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
"""Joint groups in the order of the servos."""


class Layout:
    """Servos of one station: the hand's, then the fixture's.

    Args:
        hand: the station's hand.
        fixture: the station's fixture.
        station: station file, which names all servos of a group or none.

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
        self.slices: dict[str, slice] = {}
        """Group to the slice of its joints in arrays over servos; empty if not served."""
        servos = {servo.joint: servo for servo in self.section.servos}
        for group in GROUPS:
            begin, limits = len(self.plans), self.limits[group]
            ends = zip(limits.lower.tolist(), limits.upper.tolist(), strict=True)
            for joint, (lower, upper) in zip(self.joints[group], ends, strict=True):
                if joint in servos:
                    self.plans.append(make_plan(servos[joint], lower, upper, self.section.mode))
            self.slices[group] = slice(begin, len(self.plans))

    @property
    def n(self) -> int:
        """Return the number of servos."""
        return len(self.plans)

    @property
    def served(self) -> tuple[str, ...]:
        """Return the groups that have servos."""
        return tuple(g for g in GROUPS if self.slices[g].start < self.slices[g].stop)

    @property
    def no_fixture(self) -> bool:
        """Return whether the task needs no fixture and the station has none.

        The fixture's readings are then zero.
        """
        return self._bare and self.served == (HAND,)

    @property
    def max_effort(self) -> Array:
        """Return the largest effort of each joint, (n,) N m."""
        return np.concatenate([self.limits[group].max_effort for group in self.served])

    def group_of(self, place: int) -> str:
        """Return the group of a servo."""
        return HAND if place < self.slices[HAND].stop else FIXTURE

    def index(self, joint: str) -> int:
        """Return the index of a joint's servo; raise UnknownName for an unknown joint."""
        joints = [plan.servo.joint for plan in self.plans]
        if joint not in joints:
            raise UnknownName("joint of this station", joint, joints)
        return joints.index(joint)

    def in_order(self, hand: Array, fixture: Array) -> Array:
        """Join the values of both groups, (1, joints of the group) each, to those of all servos.

        Returns:
            Values in the order of the servos, (n,).
        """
        values = {HAND: hand, FIXTURE: fixture}
        return np.concatenate([values[group][0] for group in self.served])

    def joined(self, hand: Command, fixture: Command | None) -> tuple[Array, Array]:
        """Join the commands of both groups; None stands for zero effort.

        Returns:
            Targets, rad, and efforts, N m, in the order of the servos, (n,) each.

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
                places = self.slices[group]
                target[places], effort[places] = command.q[0], command.effort[0]
        return target, effort


def _section(hand: Hand, fixture: Fixture, station: StationFile) -> DynamixelSection:
    mounted = FIXTURES.make(station.fixture)
    # A task without an object accepts any object on the same motor and leaves it passive.
    serves = mounted.name == fixture.name or (
        fixture.name == BARE and mounted.joint == fixture.joint
    )
    if station.hand != hand.name or not serves:
        raise BadConfig(
            f"{station.path} is for {station.hand} and {station.fixture}, "
            f"not for {hand.name} and {fixture.name}: correct the station file, or choose a task "
            "for the mounted hand and fixture"
        )
    if station.dynamixel is None:
        raise BadConfig(f"{station.path} names no servos: it has no section `dynamixel`")
    return station.dynamixel
