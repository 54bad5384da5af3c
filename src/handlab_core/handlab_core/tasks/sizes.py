"""All that a learning algorithm knows of what it learns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spaces:
    """Sizes of a task, whether it is done by a robot of ours or in somebody else's environment."""

    observation: int  # numbers in one observation, O
    action: int  # numbers in one action, A
    steps: int  # of an episode, at most
