"""The part of a task that learners, checkpoints and reports need, whatever runs the task."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, Self

from handlab_core.tasks.sizes import Spaces

Layout = tuple[tuple[str, int], ...]
"""Name and size of each part of an observation, in order."""


class LearnableTask(Protocol):
    """A task of any kind: on a station of ours, or in another project's environment."""

    @property
    def name(self) -> str:
        """Name of the task in its registry."""
        ...

    @property
    def description(self) -> str:
        """Description in one line."""
        ...

    @property
    def kind(self) -> str:
        """Name of the kind of task in `handlab.experiments.task_kinds`, which runs it."""
        ...

    @property
    def has_graph(self) -> bool:
        """Whether a graph of nodes can run the task, with any estimator."""
        ...

    @property
    def only_object_varies(self) -> bool:
        """Whether the task has no ranges of start and goal."""
        ...

    @property
    def hand_name(self) -> str:
        """Name of the hand."""
        ...

    @property
    def thermometers(self) -> tuple[str, ...]:
        """Names of the joints whose temperatures a run records."""
        ...

    @property
    def rewards(self) -> Collection[str]:
        """Names of the reward variants."""
        ...

    @property
    def reward(self) -> str:
        """Name of the reward variant in use."""
        ...

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the terms of the reward in use, as far as they are known."""
        ...

    @property
    def success(self) -> object:
        """Criterion of success; its text describes it."""
        ...

    @property
    def strict(self) -> object:
        """Strict criterion of success; its text describes it."""
        ...

    @property
    def layout(self) -> Layout:
        """Parts of the observation."""
        ...

    @property
    def spaces(self) -> Spaces:
        """Sizes of observation and action, and length of an episode."""
        ...

    @property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings by algorithm that differ from the algorithm's defaults."""
        ...

    @property
    def randomisation(self) -> Mapping[str, Mapping[str, str]]:
        """Ranges by level of randomisation that differ from the usual ones, by quantity."""
        ...

    def with_reward(self, name: str) -> Self:
        """Return the same task under another reward variant.

        Raises:
            UnknownName: there is no such variant; the message lists the variants.
        """
        ...
