"""Description of a hand."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands.pneumatics import Pneumatics
from handlab_core.hands.servo import ServoParameters
from handlab_core.system.registry import Registry
from handlab_core.types import Array


@dataclass(frozen=True)
class Hand:
    """Joints of a hand and the limits of their commands. Arrays are in the order of `joints`.

    In a soft hand, chambers take the place of joints, and bar the place of rad and N m; see
    `handlab_core.hands.pneumatics`.
    """

    name: str
    urdf: str  # path of the xacro below urdf/
    joints: tuple[str, ...]
    lower: Array  # (n,) rad; lower limit of commanded positions
    upper: Array  # (n,) rad; upper limit of commanded positions
    nominal: Array  # (n,) rad; pose between episodes
    max_rate: Array  # (n,) rad/s; speed limit of commanded positions
    max_effort: Array  # (n,) N m; effort limit
    servos: ServoParameters
    fingertips: tuple[str, ...]  # names of links
    release: tuple[str, ...]  # joints that a reset releases first
    disentangle: tuple[tuple[tuple[str, float], ...], ...]  # (joint, rad) targets, stage by stage
    alike: tuple[tuple[str, ...], ...] = ()
    """Joints of each of several alike fingers in the same order; a turn of the hand about its axis
    brings each finger to the place of the next one."""
    overlapping: tuple[tuple[str, str], ...] = ()
    """Pairs of links without contact, because their simplified shapes overlap at rest."""
    meshes: str = ""
    """Folder of the description's meshes; empty: the folder of the description."""
    pneumatics: Pneumatics | None = None
    """Chambers of a soft hand; None: servos move the joints."""

    def __post_init__(self) -> None:
        """Freeze the arrays; BadConfig if a shape or the nominal pose is impossible."""
        for field in ("lower", "upper", "nominal", "max_rate", "max_effort"):
            value = getattr(self, field)
            if value.shape != (self.n,):
                raise BadConfig(
                    f"hand {self.name}: {field} has shape {value.shape}, not ({self.n},)"
                )
            value.setflags(write=False)
        if self.servos.n != self.n:
            raise BadConfig(f"hand {self.name}: {self.servos.n} servos for {self.n} joints")
        if self.pneumatics is not None and len(self.pneumatics.chambers) != self.n:
            raise BadConfig(
                f"hand {self.name}: {len(self.pneumatics.chambers)} chambers for {self.n} names"
            )
        if not ((self.lower <= self.nominal) & (self.nominal <= self.upper)).all():
            raise BadConfig(f"hand {self.name}: the nominal pose is outside of the commanded range")

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def unit(self) -> str:
        """Unit of positions and commands."""
        return "rad" if self.pneumatics is None else "bar"

    @property
    def moving(self) -> tuple[str, ...]:
        """Moving joints of the description; those of a soft hand are the links of its chains."""
        return self.joints if self.pneumatics is None else self.pneumatics.chains

    def shape(self, q: Array) -> Array:
        """Return the angles of `moving` at positions of `joints` (n,); (m,) rad.

        No sensor measures the shape of a soft finger: its chain has the shape in free air.
        """
        if self.pneumatics is None:
            return q
        bent = [
            chamber.angle(float(pressure))
            for chamber, pressure in zip(self.pneumatics.chambers, q, strict=True)
        ]
        shape: Array = np.array(bent)[list(self.pneumatics.owners)]
        return shape

    @property
    def stiffness(self) -> Array:
        """Proportional gain of the position loops, (n,) N m/rad."""
        return self.servos.stiffness

    @property
    def damping(self) -> Array:
        """Derivative gain of the position loops, (n,) N m s/rad."""
        return self.servos.braking

    @property
    def losses(self) -> Array:
        """Viscous friction of the joints, engaged or not, (n,) N m s/rad."""
        return self.servos.viscous

    def index(self, joint: str) -> int:
        """Return the index of a joint in every array; raise UnknownName if there is none."""
        if joint not in self.joints:
            raise UnknownName(f"joint of {self.name}", joint, self.joints)
        return self.joints.index(joint)

    def target(self, action: Array) -> Array:
        """Return position targets for actions in [-1, 1], (..., n) rad; 0 is the middle.

        An action beyond [-1, 1] gives a target beyond the range. `Env.step` clips the actions of
        policies; the clamp of `handlab_core.safety.limits` limits the targets of every sender.
        """
        middle, half = self._middle_and_half
        return middle + half * action

    def normalise(self, q: Array) -> Array:
        """Return positions in units of the commanded range, (..., n); the inverse of `target`."""
        middle, half = self._middle_and_half
        return (q - middle) / half

    @cached_property
    def _middle_and_half(self) -> tuple[Array, Array]:
        """Middle and half width of the commanded range, (n,) rad each."""
        return (self.upper + self.lower) / 2, (self.upper - self.lower) / 2


HANDS: Registry[Hand] = Registry("hand")


def make_hand(name: str) -> Hand:
    """Build the hand called `name`; raise UnknownName if there is none."""
    return HANDS.make(name)
