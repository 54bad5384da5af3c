"""Forward kinematics of a URDF: the pose of every link for given joint positions; its masses.

A joint's transform is its origin, followed by the motion along or about its axis
(http://wiki.ros.org/urdf/XML/joint).
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

from handlab_core.errors import BadConfig
from handlab_core.estimation.quaternions import (
    IDENTITY,
    Quaternion,
    Vector,
    about,
    multiply,
    rotate,
)

FIXED, ROTARY, PRISMATIC = "fixed", ("revolute", "continuous"), "prismatic"
"""Kinds of joints that a URDF may have here; each has at most one position."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a child frame in its parent frame."""

    position: Vector = (0.0, 0.0, 0.0)  # m
    orientation: Quaternion = IDENTITY  # w, x, y, z

    def then(self, child: "Pose") -> "Pose":
        """Return the pose of a frame that is given in this one, in the parent of this one."""
        x, y, z = rotate(self.orientation, child.position)
        px, py, pz = self.position
        return Pose((px + x, py + y, pz + z), multiply(self.orientation, child.orientation))


@dataclass(frozen=True, slots=True)
class JointFrame:
    """One joint of a URDF."""

    name: str
    kind: str
    parent: str  # link
    child: str  # link
    origin: Pose  # of the child link at position 0, in the parent link
    axis: Vector  # unit length, in the joint's frame

    def pose(self, position: float = 0.0) -> Pose:
        """Return the pose of the child link in the parent link at a position [rad or m]."""
        if self.kind in ROTARY:
            return self.origin.then(Pose(orientation=about(self.axis, position)))
        x, y, z = self.axis
        return self.origin.then(Pose((position * x, position * y, position * z)))


@dataclass(frozen=True, slots=True)
class Mass:
    """Mass of a link."""

    link: str
    mass: float  # kg
    centre: Vector  # m; centre of mass, in the link


class KinematicTree:
    """The joints and masses of a URDF.

    Args:
        urdf: text of the URDF.

    Raises:
        BadConfig: it is no URDF, or a joint is of a kind with more than one position.
    """

    def __init__(self, urdf: str) -> None:
        try:
            robot = ElementTree.fromstring(urdf)
            joints = [_joint(element) for element in robot.findall("joint")]
            masses = [_mass(element) for element in robot.findall("link")]
        except (ElementTree.ParseError, KeyError, ValueError) as error:
            raise BadConfig(f"the robot description is no URDF: {error}") from None
        self.joints = {joint.name: joint for joint in joints}
        """Every joint, by name."""
        self.fixed = tuple(joint for joint in joints if joint.kind == FIXED)
        self.masses = tuple(mass for mass in masses if mass.mass > 0.0)
        """Mass of every link that has one."""
        self._above = {joint.child: joint for joint in joints}
        self._from_root = sorted(joints, key=lambda joint: len(self.chain(joint.child)))

    def chain(self, link: str) -> tuple[JointFrame, ...]:
        """Return the joints from the root to a link, in this order; none for an unknown link."""
        joints = list[JointFrame]()
        while (joint := self._above.get(link)) is not None:
            joints.append(joint)
            link = joint.parent
        return tuple(reversed(joints))

    def link_pose(self, link: str, positions: Mapping[str, float]) -> Pose:
        """Return the pose of a link in the root link.

        Args:
            link: name.
            positions: rad or m, by joint; joints that are not named are at 0.
        """
        pose = Pose()
        for joint in reversed(self.chain(link)):
            pose = joint.pose(positions.get(joint.name, 0.0)).then(pose)
        return pose

    def poses(self, positions: Mapping[str, float]) -> dict[str, Pose]:
        """Return the poses of all child links in the root link, by link; see `link_pose`."""
        poses = dict[str, Pose]()
        for joint in self._from_root:
            above = poses.get(joint.parent, Pose())
            poses[joint.child] = above.then(joint.pose(positions.get(joint.name, 0.0)))
        return poses


def _joint(element: ElementTree.Element) -> JointFrame:
    name, kind = element.attrib["name"], element.attrib["type"]
    if kind not in (FIXED, *ROTARY, PRISMATIC):
        raise BadConfig(
            f"joint {name} is {kind}; a joint can be {', '.join((FIXED, *ROTARY, PRISMATIC))}"
        )
    ends = {}
    for end in ("parent", "child"):
        if (found := element.find(end)) is None:
            raise ValueError(f"joint {name} has no {end}")
        ends[end] = found.attrib["link"]
    origin, axis = element.find("origin"), element.find("axis")
    xyz = _numbers(origin, "xyz", "0 0 0")
    roll, pitch, yaw = _numbers(origin, "rpy", "0 0 0")
    # About the fixed axes x, y, z in this order (http://wiki.ros.org/urdf/XML/joint).
    turned = multiply(
        about((0, 0, 1), yaw), multiply(about((0, 1, 0), pitch), about((1, 0, 0), roll))
    )
    x, y, z = _numbers(axis, "xyz", "1 0 0")
    length = (x * x + y * y + z * z) ** 0.5
    if kind != FIXED and not length > 0:
        raise ValueError(f"joint {name} has an axis without length")
    unit = (x / length, y / length, z / length) if length else (0.0, 0.0, 0.0)
    return JointFrame(name, kind, ends["parent"], ends["child"], Pose(xyz, turned), unit)


def _mass(element: ElementTree.Element) -> Mass:
    origin, mass = element.find("inertial/origin"), element.find("inertial/mass")
    kilograms = 0.0 if mass is None else float(mass.attrib["value"])
    return Mass(element.attrib["name"], kilograms, _numbers(origin, "xyz", "0 0 0"))


def _numbers(element: ElementTree.Element | None, name: str, default: str) -> Vector:
    text = default if element is None else element.get(name, default)
    x, y, z = (float(part) for part in text.split())
    return x, y, z
