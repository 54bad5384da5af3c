"""What a camera tells of an object that turns on a fixed axis: its pose, seen a while ago."""

import math
from dataclasses import dataclass

from handlab_core.errors import BadConfig
from handlab_core.estimation.quaternions import (
    IDENTITY,
    Quaternion,
    Vector,
    dot,
    inverse,
    multiply,
    rotate,
    swing,
    twist,
)
from handlab_core.objects.fixture import Fixture

ORIENTATION_NOISE = 0.02
"""rad. The corners of a tag 40 mm wide, 20 mm from its middle, found to 0.4 mm (POSITION_NOISE)."""

POSITION_NOISE = 0.001
"""m. Roboception's manual of the rc_visard 65 gives 0.4 mm across and 0.9 mm along the view for an
AprilTag at 0.3 m, 0.7 mm and 3.3 mm at 1 m."""

UNIT = 1e-3
"""How far the length of an axis or a quaternion may be from one."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Pose of the object's frame in one picture, as in `geometry_msgs/PoseWithCovarianceStamped`.

    The object's frame has its origin on the axis. A detector that follows several tags on one
    object, a bundle, gives such a pose whichever of them it sees.
    """

    stamp: float  # s, when the picture was taken; the detection comes later
    position: Vector  # m
    orientation: Quaternion  # wxyz
    covariance: tuple[float, ...]  # 36, rows of x y z and rotations about the fixed x y z [m, rad]


@dataclass(frozen=True)
class AxisView:
    """Where the detector's frame has the object's axis."""

    axis: Vector = (0.0, 0.0, 1.0)
    """Of unit length; the object turns about it by the right-hand rule."""
    centre: Vector = (0.0, 0.0, 0.0)
    """m, where the origin of the object's frame is."""
    zero: Quaternion = IDENTITY
    """wxyz, orientation of the object's frame at angle zero."""

    def __post_init__(self) -> None:
        """Check lengths."""
        if abs(dot(self.axis, self.axis) - 1.0) > UNIT:
            raise BadConfig(f"axis {self.axis} must have length 1")
        if not _is_unit(self.zero):
            raise BadConfig(f"zero {self.zero} must be a quaternion wxyz of length 1")

    @classmethod
    def of_fixture(cls, fixture: Fixture) -> "AxisView":
        """The view in the frame `world`, in which the fixture stands."""
        return cls(axis=fixture.axis, centre=fixture.centre)

    def seen_from(self, position: Vector, orientation: Quaternion) -> "AxisView":
        """The same axis in the frame of a camera that stands there in the present frame.

        Raises:
            BadConfig: the orientation, wxyz, has not length 1.
        """
        if not _is_unit(orientation):
            raise BadConfig(f"orientation {orientation} must be a quaternion wxyz of length 1")
        back = inverse(orientation)
        x, y, z = (a - b for a, b in zip(self.centre, position, strict=True))
        return AxisView(rotate(back, self.axis), rotate(back, (x, y, z)), multiply(back, self.zero))

    def angle(self, detection: Detection) -> float:
        """The object's angle about the axis, within half a turn of zero [rad]."""
        return twist(self._turned(detection), self.axis)

    def tilt(self, detection: Detection) -> float:
        """How far the pose's own axis is from the object's [rad]; of a true pose only noise."""
        return swing(self._turned(detection), self.axis)

    def offset(self, detection: Detection) -> float:
        """How far the pose is from where the object is [m]; of a true pose only noise."""
        return math.dist(detection.position, self.centre)

    def _turned(self, detection: Detection) -> Quaternion:
        """Rotation from the zero orientation to the seen one, in the detector's frame."""
        return multiply(detection.orientation, inverse(self.zero))


def is_pose(detection: Detection) -> bool:
    """Whether all numbers are finite and the orientation is one."""
    numbers = (detection.stamp, *detection.position, *detection.orientation, *detection.covariance)
    return all(map(math.isfinite, numbers)) and _is_unit(detection.orientation)


def _is_unit(q: Quaternion) -> bool:
    return abs(q[0] * q[0] + dot(q[1:], q[1:]) - 1.0) <= UNIT
