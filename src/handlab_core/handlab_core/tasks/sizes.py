"""Sizes of a task, as learning algorithms need them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symmetry:
    """An exchange of alike fingers after which the task is the same.

    Element i of the exchanged observation is element `observation[i]` of the original.
    """

    observation: tuple[int, ...]  # (O,)
    action: tuple[int, ...]  # (A,)


@dataclass(frozen=True, slots=True)
class Fingers:
    """Alike fingers before an object: what a gait has to know of a task."""

    error: int  # element of an observation: angle of the object minus the goal [rad]
    joint: tuple[int, ...]  # (A,), joints of alike fingers that move alike share a number, from 0
    finger: tuple[int, ...]  # (A,), place of the joint's finger among the alike ones, from 0
    period: float  # s, duration of a step


@dataclass(frozen=True, slots=True)
class Spaces:
    """Sizes of observation and action, and length of an episode."""

    observation: int  # number of elements of an observation, O
    action: int  # number of elements of an action, A
    steps: int  # largest number of steps of an episode
    symmetries: tuple[Symmetry, ...] = ()  # without the identity
    fingers: Fingers | None = None  # None: there is no object that has an error
