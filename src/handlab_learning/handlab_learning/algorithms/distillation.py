"""One network from several local controllers.

Kumar, Gupta, Todorov and Levine, arXiv:1611.05095: clone the actions of the controllers in the
states of their episodes. The network reads the observation alone; it knows no time. Choosing the
controller of the nearest start instead is `LinearPolicy.nearest`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.linear_policy import LinearPolicy
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.bc import Cloning, CloningConfig
from handlab_learning.models.policy_network import PolicyNet

LOG_STD = -2.0
"""Logarithm of the network's standard deviation; cloning replaces it."""


def relabelled(controllers: LinearPolicy, episode: Episode) -> Episode:
    """Return an episode with the actions that the controllers have for its states."""
    acting = controllers.begin()
    seen = episode.trajectory.observations[:-1]
    actions = np.concatenate([acting.act(observation[None]) for observation in seen])
    return replace(episode, trajectory=replace(episode.trajectory, actions=actions))


def distil(
    controllers: LinearPolicy,
    episodes: Sequence[Episode],
    spaces: Spaces,
    hidden: Sequence[int],
    config: CloningConfig,
    seed: int,
) -> PolicyNet:
    """Return a network that clones controllers in the states of episodes.

    Args:
        controllers: one or several.
        episodes: of the controllers.
        spaces: sizes of the task.
        hidden: widths of the hidden layers.
        config: settings of the cloning.
        seed: seed of the network and of the cloning.
    """
    torch.manual_seed(seed)
    net = PolicyNet(spaces, hidden, LOG_STD)
    cloning = Cloning(net, [relabelled(controllers, episode) for episode in episodes], config, seed)
    while not cloning.finished:
        cloning.epoch()
    return net
