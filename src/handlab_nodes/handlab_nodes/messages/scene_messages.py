"""Frames and markers of a station as messages, for rviz and other tools that know tf2."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, TransformStamped
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from handlab_core.estimation.quaternions import Vector, inverse, rotate
from handlab_core.hands.fingertip_force import FingertipForce
from handlab_core.hands.kinematics import JointFrame
from handlab_core.objects.fixture import MARK_RADIUS

WORLD = "world"
"""Root link of every station's URDF."""

GOAL_COLOR = ColorRGBA(r=0.20, g=0.72, b=0.35, a=1.0)
OBJECT_COLOR = ColorRGBA(r=0.95, g=0.55, b=0.18, a=1.0)
FORCE_COLOR = ColorRGBA(r=0.85, g=0.16, b=0.20, a=1.0)

FORCE_LENGTH = 0.01
"""m/N; length of a force's arrow. Chosen: usual forces of 1 to 10 N are as long as a link."""

FORCE_PERIOD = 0.1
"""Seconds of wall time, least period of estimates of forces; people read no faster."""

FORCE_STEP = 0.1
"""N; forces are shown in these steps, so that noise makes no messages."""

LETTERS = 0.012
"""m; height of letters."""

REWARD_COLOR = ColorRGBA(r=0.15, g=0.17, b=0.20, a=1.0)

REWARD_AT: Vector = (0.0, -0.22, 0.03)
"""m; place of the reward's words: on the table, beside every hand; chosen."""

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


def force_markers(force: FingertipForce, frame: str) -> list[Marker]:
    """Return an arrow from a fingertip along its force, and its size; hidden if it is not shown.

    Args:
        force: at the fingertip.
        frame: name of the fingertip's frame, in which the markers are.
    """
    local = rotate(inverse(force.pose.orientation), force.force)
    x, y, z = (FORCE_LENGTH * FORCE_STEP * round(part / FORCE_STEP) for part in local)
    markers = [
        arrow("force", force.number, ((0.0, 0.0, 0.0), (x, y, z)), FORCE_COLOR),
        text("force_size", force.number, (x, y, z), f"{force.size:.1f} N", FORCE_COLOR),
    ]
    for marker in markers:
        marker.header.frame_id = frame
        marker.action = Marker.ADD if force.shown else Marker.DELETE
    return markers


def text(name: str, number: int, at: Vector, words: str, color: ColorRGBA) -> Marker:
    """Return words that face the viewer, at a position [m]; see `ball`."""
    marker = _marker(name, number, Marker.TEXT_VIEW_FACING, color)
    marker.text, marker.scale.z = words, LETTERS
    position = marker.pose.position
    position.x, position.y, position.z = at
    return marker


def _marker(name: str, number: int, kind: int, color: ColorRGBA) -> Marker:
    marker = Marker(ns=name, id=number, type=kind, action=Marker.ADD, color=color)
    marker.pose.orientation.w = 1.0
    return marker
