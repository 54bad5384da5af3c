"""What the rest of handlab knows of a hand."""

from dataclasses import dataclass
from functools import cached_property

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.registry import Registry
from handlab_core.types import Array


@dataclass(frozen=True)
class Hand:
    """A hand's joints and how a policy may command them. Arrays are in the order of `joints`."""

    name: str
    urdf: str  # path of the xacro below urdf/
    joints: tuple[str, ...]
    lower: Array  # (n,) rad, least commanded position
    upper: Array  # (n,) rad, greatest commanded position
    nominal: Array  # (n,) rad, the pose between episodes
    max_rate: Array  # (n,) rad/s, how fast a commanded position may move
    max_effort: Array  # (n,) N m, the most a joint may push
    stiffness: Array  # (n,) N m/rad, how a joint's own controller answers an error of position
    damping: Array  # (n,) N m s/rad, and how it answers velocity
    losses: Array  # (n,) N m s/rad, what a joint loses by turning, let go or not; as the URDF
    fingertips: tuple[str, ...]  # links
    release: tuple[str, ...]  # joints that let go first when a reset starts
    disentangle: tuple[tuple[tuple[str, float], ...], ...]  # stages: (joint, rad) to go to in turn
    overlapping: tuple[tuple[str, str], ...] = ()
    """Links whose simple shapes overlap where the real ones clear each other: never in contact."""

    def __post_init__(self) -> None:
        """Freeze the arrays; BadConfig if a shape or the nominal pose is impossible."""
        for field in (
            "lower", "upper", "nominal", "max_rate", "max_effort", "stiffness", "damping", "losses"
        ):  # fmt: skip
            value = getattr(self, field)
            if value.shape != (self.n,):
                raise BadConfig(
                    f"hand {self.name}: {field} has shape {value.shape}, not ({self.n},)"
                )
            value.setflags(write=False)
        if not ((self.lower <= self.nominal) & (self.nominal <= self.upper)).all():
            raise BadConfig(f"hand {self.name}: the nominal pose is outside of the commanded range")

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Place of a joint in every array of this hand; an unknown joint raises UnknownName."""
        if joint not in self.joints:
            raise UnknownName(f"joint of {self.name}", joint, self.joints)
        return self.joints.index(joint)

    def target(self, action: Array) -> Array:
        """Return position targets for actions in [-1, 1], (..., n) rad; 0 is the middle.

        An action beyond [-1, 1] gives a target beyond the range. `Env.step` clips the actions of
        policies; the clamp of `handlab_core.safety` limits the targets of every sender.
        """
        middle, half = self._middle_and_half
        return middle + half * action

    def normalise(self, q: Array) -> Array:
        """The inverse of `target`: joint positions in units of the commanded range. (..., n)."""
        middle, half = self._middle_and_half
        return (q - middle) / half

    @cached_property
    def _middle_and_half(self) -> tuple[Array, Array]:
        """Of the commanded range, (n,) rad each."""
        return (self.upper + self.lower) / 2, (self.upper - self.lower) / 2


HANDS: Registry[Hand] = Registry("hand")


def make_hand(name: str) -> Hand:
    """Build the hand called `name`; an unknown name raises UnknownName."""
    return HANDS.make(name)
