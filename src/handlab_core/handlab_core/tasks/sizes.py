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
class Spaces:
    """Sizes of observation and action, and length of an episode."""

    observation: int  # number of elements of an observation, O
    action: int  # number of elements of an action, A
    steps: int  # largest number of steps of an episode
    symmetries: tuple[Symmetry, ...] = ()  # without the identity
