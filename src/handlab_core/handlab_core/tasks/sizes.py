"""Sizes of a task, as learning algorithms need them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spaces:
    """Sizes of observation and action, and length of an episode."""

    observation: int  # number of elements of an observation, O
    action: int  # number of elements of an action, A
    steps: int  # largest number of steps of an episode
