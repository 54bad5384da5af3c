"""Frames and markers of a station as messages, for rviz and other tools that know tf2."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, TransformStamped
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from handlab_core.estimation.quaternions import Vector
from handlab_core.hands.kinematics import JointFrame
from handlab_core.objects.fixture import MARK_RADIUS

WORLD = "world"
"""Root link of every station's URDF."""

GOAL_COLOR = ColorRGBA(r=0.20, g=0.72, b=0.35, a=1.0)
OBJECT_COLOR = ColorRGBA(r=0.95, g=0.55, b=0.18, a=1.0)

ARROW = (0.006, 0.014, 0.02)
"""m; diameters of an arrow's shaft and head, and length of the head. Chosen: thinner than a lobe,
so that it shows above the object."""


def frame_prefix(namespace: str) -> str:
    """Return the prefix of a robot's frames on /tf, which all robots of a domain share."""
    return f"{namespace.strip('/')}/" if namespace.strip("/") else ""


def transform(joint: JointFrame, position: float, stamp: Time, prefix: str) -> TransformStamped:
    """Return the transform of a joint's child link in its parent link.

    Args:
        joint: of the URDF.
        position: rad or m.
        stamp: of the position.
        prefix: of both frames' names.
    """
    pose, message = joint.pose(position), TransformStamped()
    message.header.stamp, message.header.frame_id = stamp, prefix + joint.parent
    message.child_frame_id = prefix + joint.child
    moved, turned = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = pose.position
    turned.w, turned.x, turned.y, turned.z = pose.orientation
    return message


def ball(name: str, number: int, at: Vector, color: ColorRGBA) -> Marker:
    """Return a ball at a position [m] in the frame `world`.

    Args:
        name: rviz's namespace of the marker; people switch markers on and off by it.
        number: of the marker in that namespace.
        at: x, y, z.
        color: of the ball.
    """
    marker = _marker(name, number, Marker.SPHERE, color)
    position, scale = marker.pose.position, marker.scale
    position.x, position.y, position.z = at
    scale.x = scale.y = scale.z = 2 * MARK_RADIUS
    return marker


def arrow(name: str, number: int, ends: Sequence[Vector], color: ColorRGBA) -> Marker:
    """Return an arrow between two points [m] in the frame `world`; see `ball`."""
    marker = _marker(name, number, Marker.ARROW, color)
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in ends]
    marker.scale.x, marker.scale.y, marker.scale.z = ARROW
    return marker


def _marker(name: str, number: int, kind: int, color: ColorRGBA) -> Marker:
    marker = Marker(ns=name, id=number, type=kind, action=Marker.ADD, color=color)
    marker.pose.orientation.w = 1.0
    return marker
