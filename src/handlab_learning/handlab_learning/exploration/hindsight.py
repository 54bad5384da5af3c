"""Learn in hindsight: a motion shows how to reach the poses that it came by.

Andrychowicz et al., "Hindsight experience replay", NeurIPS 2017; Ghosh et al., "Learning to reach
goals via iterated supervised learning", arXiv:1912.06088.
"""

from dataclasses import replace

import numpy as np

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


def with_other_goals(
    episode: Episode, spaces: Spaces, count: int, rng: np.random.Generator
) -> list[Episode]:
    """Return an episode again with goals that it reached at random moments.

    The rewards are those of the other goals.

    Args:
        episode: T steps.
        spaces: sizes of the task; its `relabelling` and its `reward` must be known.
        count: number of goals.
        rng: draws the moments, each step with the same probability.
    """
    if spaces.relabelling is None or spaces.reward is None:
        raise ValueError("other goals need a task whose goals and rewards are known")
    path = episode.trajectory
    change = np.diff(path.observations, axis=0)
    rest = path.rewards - spaces.reward(path.observations[1:], change)
    found = []
    for moment in rng.integers(1, episode.steps + 1, count):
        observations = spaces.relabelling.observed(path.observations, path.observations[moment])
        rewards = rest + spaces.reward(observations[1:], np.diff(observations, axis=0))
        found.append(
            replace(episode, trajectory=replace(path, observations=observations, rewards=rewards))
        )
    return found
