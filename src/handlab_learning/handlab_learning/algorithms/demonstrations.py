"""Demonstrations as input of learning algorithms: checks, and all steps in one array."""

from collections.abc import Sequence

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.errors import BadDemonstrations
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array
from handlab_learning.runs.soundness import defect


def check_demonstrations(demonstrations: Sequence[Episode], spaces: Spaces) -> None:
    """Reject demonstrations that cannot be learned from.

    Raises:
        BadDemonstrations: there are none, or one has another size or contains non-finite values;
            the message names the demonstration and the fault.
    """
    if not demonstrations:
        raise BadDemonstrations("there are no demonstrations to learn from: name some with --demos")
    for number, episode in enumerate(demonstrations, 1):
        where = f"demonstration {number} of {len(demonstrations)}"
        steps = len(episode.trajectory.actions)
        wanted = {
            "observations": (steps + 1, spaces.observation),
            "actions": (steps, spaces.action),
        }
        for name, shape in wanted.items():
            array = getattr(episode.trajectory, name)
            if array.shape != shape or not steps:
                raise BadDemonstrations(
                    f"{where} has {name} of shape {array.shape}; this task needs {shape}"
                )
            if not np.isfinite(array).all():
                raise BadDemonstrations(f"{where} has {name} that are not finite; leave it out")
        if reason := defect(episode):
            raise BadDemonstrations(
                f"{where} has a number that is not finite or too large: {reason}; leave it out"
            )


def joined(demonstrations: Sequence[Episode]) -> tuple[Array, Array]:
    """Return observations (B, O) and actions (B, A) of all steps of all episodes."""
    observations = np.concatenate([e.trajectory.observations[:-1] for e in demonstrations])
    return observations, np.concatenate([e.trajectory.actions for e in demonstrations])
