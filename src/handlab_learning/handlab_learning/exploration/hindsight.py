"""Learn in hindsight: a motion shows how to reach the poses that it came by.

Andrychowicz et al., "Hindsight experience replay", NeurIPS 2017; Ghosh et al., "Learning to reach
goals via iterated supervised learning", arXiv:1912.06088.
"""

from dataclasses import replace

from handlab_core.environment.episode import Episode
from handlab_core.tasks.sizes import Spaces


def in_hindsight(episode: Episode, spaces: Spaces, steps: int) -> Episode:
    """Return an episode in which the goal of each step is the pose that was reached later.

    It is for cloning: the rewards stay those of the old goals.

    Args:
        episode: T steps, more than `steps`.
        spaces: sizes of the task; its `relabelling` must be known.
        steps: number of steps until the new goal is reached.
    """
    if spaces.relabelling is None:
        raise ValueError("hindsight needs goals that are poses")
    path, count = episode.trajectory, episode.steps - steps
    later = path.observations[steps:]
    observations = spaces.relabelling.observed(path.observations[: len(later)], later)
    shorter = replace(
        path,
        observations=observations,
        actions=path.actions[:count],
        rewards=path.rewards[:count],
        reward_terms=path.reward_terms[:count],
        errors=path.errors[:count],
    )
    return replace(episode, trajectory=shorter, interventions=episode.interventions[:count])
