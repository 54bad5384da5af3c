"""Forces at the fingertips, estimated from positions and efforts of the joints.

The torques of a finger's joints are in balance with the force at its tip (Siciliano et al.,
"Robotics: Modelling, Planning and Control", 2009, section 3.8):

    effort + gravity - viscous friction = J^T force

J is the Jacobian of the tip. The estimate assumes one contact for each finger, at its tip, and slow
motion: the inertia of the links is left out. Dry friction holds a torque that nothing measures; it
makes the margin of the estimate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handlab_core.estimation.quaternions import Vector, rotate
from handlab_core.hands.hand import Hand
from handlab_core.hands.kinematics import ROTARY, KinematicTree, Pose
from handlab_core.hands.servo import COULOMB
from handlab_core.types import Array, BoolArray

GRAVITY = 9.81
"""m/s2; along -z of the root link; the simulation's."""

LEAST = 0.2
"""N; smaller forces are not shown. Chosen: the weight of a fingertip."""


@dataclass(frozen=True, slots=True)
class FingertipForce:
    """Force with which a fingertip pushes, in the root link."""

    number: int  # of the fingertip in `Hand.fingertips`
    pose: Pose  # of the fingertip, in the root link
    force: Vector  # N
    margin: float  # N; error that dry friction of the joints makes

    @property
    def size(self) -> float:
        """Return the length of the force, N."""
        return float(np.linalg.norm(self.force))

    @property
    def shown(self) -> bool:
        """Return whether the force is large enough that friction alone does not explain it."""
        return self.size > max(self.margin, LEAST)


def dry_friction(hand: Hand, simulated: bool) -> Array:
    """Return the torque that dry friction may hold in each joint, (n,) N m.

    A simulated hand has the friction of its description. The friction of a real one is at least a
    fraction of its largest effort.
    """
    described = hand.servos.coulomb
    return described if simulated else np.maximum(described, COULOMB * hand.max_effort)


class FingertipForces:
    """Estimates the forces at the fingertips of a hand.

    Args:
        tree: description of the hand.
        hand: the hand; the chambers of a soft hand have no torques, and it gets no estimates.
    """

    def __init__(self, tree: KinematicTree, hand: Hand) -> None:
        self._tree, self._losses = tree, hand.losses
        self._tips = () if hand.pneumatics is not None else hand.fingertips
        self._joints = [tree.joints[name] for name in hand.moving]
        self._masses = [m for m in tree.masses if self._carriers(m.link).any()]
        self._weights = GRAVITY * np.array([mass.mass for mass in self._masses])
        self._moved = np.array(
            [self._carriers(link) for link in (*self._tips, *(m.link for m in self._masses))]
        ).T[:, :, None]
        """(n, points, 1); whether a joint moves each fingertip, then each mass."""
        self._rotary = np.array([joint.kind in ROTARY for joint in self._joints])[:, None, None]

    def _carriers(self, link: str) -> BoolArray:
        """Return whether each of the joints is above a link, (n,)."""
        chain = self._tree.chain(link)
        return np.array([joint in chain for joint in self._joints], bool)

    def estimate(
        self, positions: Mapping[str, float], speeds: Array, efforts: Array, friction: Array
    ) -> list[FingertipForce]:
        """Estimate the force at each fingertip; those that a joint without numbers moves have none.

        Args:
            positions: rad or m, by joint.
            speeds: (n,) rad/s.
            efforts: (n,) N m; torques of the motors, as measured.
            friction: (n,) N m; dry friction of the joints.
        """
        if not (count := len(self._tips)):
            return []
        poses = self._tree.poses(positions)
        tips = [poses[tip] for tip in self._tips]
        centres = [poses[mass.link].then(Pose(mass.centre)).position for mass in self._masses]
        points = np.array([*(tip.position for tip in tips), *centres])
        motion = self._motion_of(poses, points)
        torques = efforts - self._losses * speeds - motion[:, count:, 2] @ self._weights
        unknown = ~np.isfinite(torques)
        inverse = np.linalg.pinv(motion[:, :count].reshape(len(torques), 3 * count))
        forces = (inverse @ np.where(unknown, 0.0, torques)).reshape(count, 3).tolist()
        margins = np.linalg.norm((inverse * friction).reshape(count, -1), axis=1).tolist()
        return [
            FingertipForce(number, tips[number], (x, y, z), margin)
            for number, ((x, y, z), margin) in enumerate(zip(forces, margins, strict=True))
            if not (unknown & self._moved[:, number, 0]).any()
        ]

    def _motion_of(self, poses: Mapping[str, Pose], points: Array) -> Array:
        """Return the velocities of points for unit speed of each joint, (n, points, 3)."""
        frames = [poses[joint.child] for joint in self._joints]
        turns = zip(frames, self._joints, strict=True)
        axes = np.array([rotate(frame.orientation, joint.axis) for frame, joint in turns])[:, None]
        origins = np.array([frame.position for frame in frames])[:, None]
        turned = np.where(self._rotary, np.cross(axes, points - origins), axes)
        motion: Array = turned * self._moved
        return motion
