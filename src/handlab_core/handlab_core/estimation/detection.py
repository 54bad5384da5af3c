"""Detections of a camera: poses of an object that turns on a fixed axis, with a delay."""

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
"""rad; noise of a tag 40 mm wide whose corners, 20 mm from its centre, are found to 0.4 mm."""

POSITION_NOISE = 0.001
"""m; noise of the position. For an AprilTag the manual of Roboception's rc_visard 65 gives 0.4 mm
across and 0.9 mm along the view at 0.3 m, 0.7 mm and 3.3 mm at 1 m."""

UNIT = 1e-3
"""Tolerance of the length of unit vectors and quaternions."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Pose of the object's frame in one picture, as in `geometry_msgs/PoseWithCovarianceStamped`.

    The origin of the object's frame is on the axis. A detector of a bundle of tags gives this pose
    for any tag of the bundle.
    """

    stamp: float  # s; time of the picture, earlier than the arrival of the detection
    position: Vector  # m
    orientation: Quaternion  # wxyz
    covariance: tuple[float, ...]  # (36,) rows of x y z and rotations about fixed x y z [m, rad]


@dataclass(frozen=True)
class AxisView:
    """Axis of the object in the frame of a detector."""

    axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector; the object turns about it by the right-hand rule."""
    centre: Vector = (0.0, 0.0, 0.0)
    """m; origin of the object's frame."""
    zero: Quaternion = IDENTITY
    """wxyz; orientation of the object's frame at angle zero."""

    def __post_init__(self) -> None:
        """Check lengths."""
        if abs(dot(self.axis, self.axis) - 1.0) > UNIT:
            raise BadConfig(f"axis {self.axis} must have length 1")
        if not _is_unit(self.zero):
            raise BadConfig(f"zero {self.zero} must be a quaternion wxyz of length 1")

    @classmethod
    def of_fixture(cls, fixture: Fixture) -> "AxisView":
        """Build the view in the frame `world`."""
        return cls(axis=fixture.axis, centre=fixture.centre)

    def seen_from(self, position: Vector, orientation: Quaternion) -> "AxisView":
        """Return the same axis in the frame of a camera with this pose in the present frame.

        Raises:
            BadConfig: the orientation, wxyz, has not length 1.
        """
        if not _is_unit(orientation):
            raise BadConfig(f"orientation {orientation} must be a quaternion wxyz of length 1")
        back = inverse(orientation)
        x, y, z = (a - b for a, b in zip(self.centre, position, strict=True))
        return AxisView(rotate(back, self.axis), rotate(back, (x, y, z)), multiply(back, self.zero))

    def angle(self, detection: Detection) -> float:
        """Return the object's angle about the axis, in [-pi, pi]; rad."""
        return twist(self._turned(detection), self.axis)

    def tilt(self, detection: Detection) -> float:
        """Return the angle between the axis of the pose and the object's axis; rad."""
        return swing(self._turned(detection), self.axis)

    def offset(self, detection: Detection) -> float:
        """Return the distance of the pose from the object's position; m."""
        return math.dist(detection.position, self.centre)

    def _turned(self, detection: Detection) -> Quaternion:
        """Return the rotation from the zero orientation, in the detector's frame."""
        return multiply(detection.orientation, inverse(self.zero))


def is_pose(detection: Detection) -> bool:
    """Return whether all numbers are finite and the orientation has unit length."""
    numbers = (detection.stamp, *detection.position, *detection.orientation, *detection.covariance)
    return all(map(math.isfinite, numbers)) and _is_unit(detection.orientation)


def _is_unit(q: Quaternion) -> bool:
    return abs(q[0] * q[0] + dot(q[1:], q[1:]) - 1.0) <= UNIT
