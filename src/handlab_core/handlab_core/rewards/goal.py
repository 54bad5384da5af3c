"""Goals: an angle of the object, or a pose of the hand.

An aim defines the number of angles of a goal, its part of the observation, and the error.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from handlab_core.types import Array, Goal, JointState, ObjectEstimate


class Aim(Protocol):
    """Kind of goal; N robots at once."""

    @property
    def of_object(self) -> bool:
        """Whether the goal is an angle of the object; False: a pose of the hand."""
        ...

    def layout(self, joints: int) -> tuple[tuple[str, int], ...]:
        """Return name and size of each part of the observation that `parts` returns."""
        ...

    def parts(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> tuple[Array, ...]:
        """Return the parts of the observation, (N, size) each."""
        ...

    def error(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Array:
        """Return the distance from the goal, (N,) rad."""
        ...


@dataclass(frozen=True)
class ObjectAim:
    """The goal is an angle of the object; the error is signed, object minus goal."""

    repeats: int = 1
    """Rotational symmetry: number of indistinguishable orientations per turn in the observation.
    The position of the lobes matters to the fingers, their identity does not."""
    fine: float | None = None
    """rad; scale of an additional, saturated error in the observation, tanh(error / fine); None: no
    such part. With random goals only the error encodes the distance, and its range of several
    radians hides differences of a tenth."""
    moving: bool = False
    """Whether the observation contains the velocity of the goal."""
    of_object: ClassVar[bool] = True

    def layout(self, joints: int) -> tuple[tuple[str, int], ...]:
        """See `Aim.layout`."""
        name = "object_cos_sin" if self.repeats == 1 else f"object_cos_sin_{self.repeats}"
        fine = () if self.fine is None else (("fine_error", 1),)
        return ((name, 2), ("error", 1), *fine, *((("goal_velocity", 1),) * self.moving))

    def parts(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> tuple[Array, ...]:
        """See `Aim.parts`; the error is not wrapped, because turns count."""
        angle = obj.angle[:, None]
        seen, error = self.repeats * angle, angle - goal.at(obj.stamp)
        fine = () if self.fine is None else (np.tanh(error / self.fine),)
        return np.cos(seen), np.sin(seen), error, *fine, *((goal.velocity,) * self.moving)

    def error(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Array:
        """See `Aim.error`."""
        return obj.angle - goal.at(obj.stamp)[:, 0]


@dataclass(frozen=True)
class PoseAim:
    """The goal is a pose of the hand; the error is the mean absolute error of the joints."""

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
