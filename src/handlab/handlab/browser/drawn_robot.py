"""The robot in the browser's scene; what has not moved is not sent."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import viser
import yourdfpy
from viser.extras import ViserUrdf
from viser.transforms import SO3

from handlab_core.types import Array

SEEN = 5e-4
"""rad or m; least motion that is drawn: a tenth of a pixel at the tip of a finger of 0.1 m, where a
pixel has 0.6 mm."""

TURNING, SLIDING = ("revolute", "continuous"), "prismatic"


@dataclass
class _Frame:
    """The frame of a joint's link, which moves in that of its parent."""

    handle: viser.SceneNodeHandle
    turns: bool
    place: Array  # (3,) m; position of the link at 0
    rotation: SO3  # of the link at 0
    axis: Array  # (3,) unit vector in the frame of the joint
    drawn: float  # rad or m

    def show(self, value: float) -> None:
        """Move the link to a position of its joint, rad or m."""
        self.drawn = value
        if self.turns:
            self.handle.wxyz = (self.rotation @ SO3.exp(self.axis * value)).wxyz
        else:
            self.handle.position = self.place + self.rotation.apply(self.axis * value)


class DrawnRobot(ViserUrdf):
    """Draws a robot from its URDF.

    `ViserUrdf.update_cfg` computes and sets all frames of a robot, which takes a fifth of a core
    for a hand that is drawn thirty times a second. Here only frames of joints that moved are set.

    Args:
        server: serves the scene.
        text: URDF.
    """

    def __init__(self, server: viser.ViserServer, text: bytes) -> None:
        robot = load_robot(text)
        super().__init__(server, robot)
        self.update_cfg(np.zeros(len(robot.actuated_joints)))  # sets the fixed frames, too
        self._moving = {
            joint.name: _frame(handle, joint)
            for handle, joint in zip(self._joint_frames, robot.joint_map.values(), strict=True)
            if joint.type in (*TURNING, SLIDING)
        }

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints that move."""
        return tuple(self._moving)

    @property
    def drawn(self) -> dict[str, float]:
        """Positions of the joints as they are drawn, rad or m."""
        return {name: frame.drawn for name, frame in self._moving.items()}

    def show(self, positions: Mapping[str, float]) -> None:
        """Draw positions of all joints that move, rad or m; others are ignored."""
        for name, frame in self._moving.items():
            if abs(positions[name] - frame.drawn) > SEEN:
                frame.show(positions[name])


def load_robot(text: bytes) -> yourdfpy.URDF:
    """Load a URDF whose meshes have the colours of their vertices.

    The viewer copies meshes. To copy colours of faces, trimesh needs scipy, which has 120 MB.
    """
    robot = yourdfpy.URDF.load(io.BytesIO(text))
    for mesh in robot.scene.geometry.values():
        if mesh.visual.kind == "face":
            mesh.visual.vertex_colors = mesh.visual.main_color
    return robot


def _frame(handle: viser.SceneNodeHandle, joint: yourdfpy.Joint) -> _Frame:
    origin = np.eye(4) if joint.origin is None else joint.origin
    rotation, axis = SO3.from_matrix(origin[:3, :3]), np.asarray(joint.axis, dtype=float)
    return _Frame(handle, joint.type in TURNING, origin[:3, 3], rotation, axis, 0.0)
