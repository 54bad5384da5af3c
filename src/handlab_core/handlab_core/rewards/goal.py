"""What a task brings to its goal: the object, or the hand itself.

An aim says how many angles a goal has, what of it a policy sees, and how far off a state is.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from handlab_core.types import Array, Goal, JointState, ObjectEstimate


class Aim(Protocol):
    """What comes to the goal; N robots at once."""

    @property
    def of_object(self) -> bool:
        """Whether the goal is an angle of the object; False: a pose of the hand."""
        ...

    def layout(self, joints: int) -> tuple[tuple[str, int], ...]:
        """Name and size of the parts of the observation that `parts` gives."""
        ...

    def parts(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> tuple[Array, ...]:
        """What a policy sees of it, (N, size) each."""
        ...

    def error(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Array:
        """How far from the goal, (N,) rad."""
        ...


@dataclass(frozen=True)
class ObjectAim:
    """The object shall come to an angle; the error has a sign, object minus goal."""

    repeats: int = 1
    """So often in a turn a policy sees the object in the same place: where its lobes stand matters
    to fingers, not which lobe is which. 1 tells them apart."""
    fine: float | None = None
    """rad. The policy sees the error once more, bent: in full within about so much of the goal, and
    beyond it little but the sign. Where the goal is elsewhere in every episode nothing but the
    error tells how near it is, and a tenth of a radian is lost among several whole ones."""
    moving: bool = False
    """The policy sees how fast the goal turns: which way it must be ready to follow."""
    of_object: ClassVar[bool] = True

    def layout(self, joints: int) -> tuple[tuple[str, int], ...]:
        """See `Aim.layout`."""
        name = "object_cos_sin" if self.repeats == 1 else f"object_cos_sin_{self.repeats}"
        fine = () if self.fine is None else (("fine_error", 1),)
        return ((name, 2), ("error", 1), *fine, *((("goal_velocity", 1),) * self.moving))

    def parts(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> tuple[Array, ...]:
        """See `Aim.parts`; the error is not wrapped: turns count."""
        angle = obj.angle[:, None]
        seen, error = self.repeats * angle, angle - goal.at(obj.stamp)
        fine = () if self.fine is None else (np.tanh(error / self.fine),)
        return np.cos(seen), np.sin(seen), error, *fine, *((goal.velocity,) * self.moving)

    def error(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Array:
        """See `Aim.error`."""
        return obj.angle - goal.at(obj.stamp)[:, 0]


@dataclass(frozen=True)
class PoseAim:
    """The hand's joints shall come to a pose; the error is the mean of theirs, without sign."""

    of_object: ClassVar[bool] = False

    def layout(self, joints: int) -> tuple[tuple[str, int], ...]:
        """See `Aim.layout`."""
        return (("joint_errors", joints),)

    def parts(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> tuple[Array, ...]:
        """See `Aim.parts`; joints minus goal in rad."""
        return (hand.q - goal.at(hand.stamp),)

    def error(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Array:
        """See `Aim.error`."""
        error: Array = np.abs(hand.q - goal.at(hand.stamp)).mean(axis=-1)
        return error
