"""Episodes from a runner somewhere in the graph, for whoever has a policy."""

from collections.abc import Callable, Sequence

from rclpy.node import Node

from handlab_core import safety
from handlab_core.episode import Episode
from handlab_core.errors import StationFault
from handlab_core.policy import GaussianPolicy
from handlab_core.tasks import Task
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Rollout
from handlab_nodes import convert, qos, topics
from handlab_nodes.asking import Asker
from handlab_nodes.goal_checks import MOST_EPISODES
from handlab_nodes.inbox import Inbox
from handlab_nodes.spinner import Spinner

EPISODE_PATIENCE = 300.0 + safety.COOLING_TIMEOUT
"""s of wall time one episode may take: the longest reset in real pace, and a hand that cools."""


class GraphSampler:
    """Implements `handlab_learning.sampler.Sampler` with the action `rollout`.

    A runner that dies costs the episode it was in: as soon as another one is there, the missing
    episodes are asked for again.
    """

    def __init__(self, node: Node, spinner: Spinner, task: Task) -> None:
        self._spinner, self._task = spinner, task
        self._arrived: dict[int, Episode] = {}
        self._wanted: tuple[int, int, bool] | None = None
        self._tell: Callable[[Episode], None] | None = None
        self._policies = node.create_publisher(wire.Policy, topics.POLICY, qos.LATCHED)
        read = convert.decoder(wire.Episode, lambda message: convert.episode(message, task))
        hear = Inbox.of(node).subscribe
        hear(wire.Episode, topics.EPISODE, read, self._on_episode, qos.EPISODES)
        self._rollout = Asker(node, spinner, Rollout, topics.ROLLOUT)

    def sample(
        self,
        policy: GaussianPolicy,
        seed: int,
        episodes: Sequence[int],
        deterministic: bool = False,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> list[Episode]:
        """Run episodes of a policy and return them in the order asked for."""
        self._policies.publish(convert.policy_msg(policy, self._task))
        self._arrived.clear()
        self._wanted, self._tell = (policy.version, seed, deterministic), on_episode
        while missing := [number for number in episodes if number not in self._arrived]:
            self._ask(missing[:MOST_EPISODES], policy.version, seed, deterministic)
        return [self._arrived[number] for number in episodes]

    def _ask(self, missing: list[int], version: int, seed: int, deterministic: bool) -> None:
        """Ask the present runner for episodes; return when it is done or was replaced."""
        goal = Rollout.Goal(
            episodes=missing, seed=seed, policy_version=version, deterministic=deterministic
        )
        result = self._rollout.ask(goal, EPISODE_PATIENCE * len(missing))
        if result is None:
            return
        if result.message:
            raise StationFault(f"the runner stopped: {result.message}")
        have = self._arrived
        self._spinner.wait(lambda: all(n in have for n in missing), "the last episode's data")

    def _on_episode(self, episode: Episode) -> None:
        key = episode.policy_version, episode.seed, episode.deterministic
        if key == self._wanted and episode.episode not in self._arrived:
            self._arrived[episode.episode] = episode
            if self._tell is not None:
                self._tell(episode)
