"""Sampler of a graph: sends a policy to the runner and receives its episodes."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from rclpy.node import Node

from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.intervention import NO_INTERVENER
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import StationFault
from handlab_core.tasks import Task
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Rollout
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.actions import PendingGoal, RestartSafeActionClient
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.goal_checks import MOST_EPISODES
from handlab_nodes.runtime.inbox import Inbox

EPISODE_PATIENCE = 600.0
"""Seconds of wall time; longest episode: twice the longest reset in real pace. Time in which the
hand cools, or in which a person has stopped it, does not count."""


class GraphSampler:
    """Implements `handlab_learning.runs.sampler.Sampler` with the action `rollout`.

    A runner that dies costs the episode it was in: as soon as another one is there, the missing
    episodes are asked for again.
    """

    def __init__(self, node: Node, loop: EventLoop, task: Task) -> None:
        self._loop, self._task = loop, task
        self._arrived: dict[int, Episode] = {}
        self._wanted: tuple[int, int, bool] | None = None
        self._due = 0
        self.interventions = NO_INTERVENER
        """One of INTERVENERS, for the episodes with noise. Evaluations have none."""
        self._policies = node.create_publisher(wire.Policy, topics.POLICY, qos.LATCHED)
        read = convert.decoder(wire.Episode, lambda message: convert.episode(message, task))
        hear = Inbox.of(node).subscribe
        hear(wire.Episode, topics.EPISODE, read, self._on_episode, qos.EPISODES)
        self._drivers, self._warm = DriverMonitor(node), False
        status = convert.decoder(wire.HandStatus, lambda message: message.pause_requested)
        hear(wire.HandStatus, topics.HAND_STATUS, status, self._on_status, 10)
        self._rollout = RestartSafeActionClient(node, loop, Rollout, topics.ROLLOUT)

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`."""
        episodes = self._episodes(policy, plan)
        next(episodes)  # as far as the runner has begun
        return episodes

    @property
    def ended(self) -> bool:
        """Whether the episodes of the newest plan have all arrived."""
        return len(self._arrived) >= self._due

    def _episodes(self, policy: Policy, plan: EpisodePlan) -> Iterator[Any]:
        """Publish the policy, send the first goal, return None, and then the episodes."""
        self._policies.publish(convert.policy_msg(policy, self._task))
        self._arrived.clear()
        self._wanted, self._due = (
            (policy.version, plan.seed, plan.deterministic),
            len(plan.numbers),
        )
        left, begun = deque(plan.numbers), False
        while left:
            if left[0] not in self._arrived:
                yield from self._ask(left, policy.version, plan, begun)
                begun = True
            else:  # it came while the runner was replaced
                yield self._arrived[left.popleft()]

    def _ask(self, left: deque[int], version: int, plan: EpisodePlan, begun: bool) -> Iterator[Any]:
        """Have the present runner run the next episodes, and take from `left` those that come.

        With the first goal, None precedes the episodes.
        """
        missing = [number for number in left if number not in self._arrived][:MOST_EPISODES]
        goal = Rollout.Goal(
            episodes=missing,
            seed=plan.seed,
            policy_version=version,
            deterministic=plan.deterministic,
            interventions=NO_INTERVENER if plan.deterministic else self.interventions,
        )

        def here() -> bool:
            return left[0] in self._arrived

        with self._rollout.sent(goal) as pending:
            if not begun:
                yield None
            for _ in missing:
                pending.wait(EPISODE_PATIENCE, here, self._held)
                if not here() and not self._completed(pending):
                    return
                self._loop.wait(here, "the last episode's data")
                yield self._arrived[left.popleft()]
            pending.wait(EPISODE_PATIENCE, held=self._held)
            self._completed(pending)

    def _held(self) -> bool:
        return self._warm or self._drivers.stopped

    def _on_status(self, pause_requested: bool) -> None:
        self._warm = pause_requested

    def _completed(self, pending: PendingGoal) -> bool:
        """Return whether the runner ran all episodes; False if it was replaced."""
        result = pending.result()
        if result is not None and result.message:
            raise StationFault(f"the runner stopped: {result.message}")
        return result is not None

    def _on_episode(self, episode: Episode) -> None:
        key = episode.key.policy_version, episode.key.seed, episode.key.deterministic
        if key == self._wanted:
            self._arrived.setdefault(episode.number, episode)
