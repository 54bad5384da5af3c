"""Check that hand and object are at the start of a demonstration."""

import numpy as np

from handlab_core.demonstrations.recording import Motion
from handlab_core.errors import BadDemonstrations
from handlab_core.hands import Hand
from handlab_core.reset.motor import ResetConfig
from handlab_core.tasks import Task
from handlab_core.types import Array, JointState, ObjectEstimate

ELSEWHERE = 2 * ResetConfig().tolerance
"""rad; largest difference between the ends of two resets."""


def check_start(task: Task, motion: Motion, hand: JointState, obj: ObjectEstimate) -> None:
    """Reject a replay from another start.

    Raises:
        BadDemonstrations: names the joints with another position, and both poses.
    """
    recorded, present = motion.hand.q[0], hand.q[0]
    away = np.abs(present - recorded) > ELSEWHERE
    names = [name for name, far in zip(task.hand.joints, away, strict=True) if far]
    if abs(obj.angle[0] - motion.object.angle[0]) > ELSEWHERE:
        names.append(task.fixture.joint)
    if names:
        raise BadDemonstrations(
            f"demonstration {motion.episode} began elsewhere: {', '.join(names)} more than "
            f"{np.rad2deg(ELSEWHERE):.0f} degrees away. The hand is at "
            f"{_pose(task.hand, present)}, {task.fixture.joint} {obj.angle[0]:.2f}; it began at "
            f"{_pose(task.hand, recorded)}, {task.fixture.joint} {motion.object.angle[0]:.2f} rad. "
            "Bring it there, or have it reset first"
        )


def _pose(hand: Hand, q: Array) -> str:
    return ", ".join(f"{name} {angle:.2f}" for name, angle in zip(hand.joints, q, strict=True))
