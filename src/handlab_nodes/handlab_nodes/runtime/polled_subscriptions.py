"""Subscriptions that are read on request and do not wake the node in between.

In lockstep most of a step's time is spent on threads that wake each other. A node that needs three
messages of one stamp need not wake for the first two. It wakes for the last one, then takes the
others, which have usually arrived already.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Channel, Inbox

T = TypeVar("T")


class PolledSubscriptions:
    """Polled subscriptions of one node.

    A second node holds the subscriptions. It is not spun, and is destroyed with the owner.

    Args:
        owner: node whose inbox gets the messages.
        role: suffix of the second node's name, for an owner with several of these objects.
    """

    def __init__(self, owner: Node, role: str = "listener") -> None:
        self.node = Node(
            f"_{owner.get_name().lstrip('_')}_{role}",  # hidden: not for people
            namespace=owner.get_namespace(),
            context=owner.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            # Its services would not answer while the node is not spun.
            parameter_overrides=[Parameter("start_type_description_service", value=False)],
        )
        holder: Any = owner  # the attribute is ours
        holder.companions = [*getattr(owner, "companions", ()), self.node]
        self._inbox, self._channels = Inbox.of(owner), list[Channel[Any]]()

    def listen(
        self,
        kind: type,
        topic: str,
        decode: Callable[[bytes], T],
        use: Callable[[T], None],
        qos: QoSProfile,
        senders: Collection[str] | None = None,
    ) -> None:
        """Subscribe as `Inbox.subscribe` does; `use` is called by `take` and `wait` only."""
        channel = self._inbox.subscribe(
            kind, topic, decode, use, qos, holder=self.node, senders=senders
        )
        self._channels.append(channel)

    def take(self) -> None:
        """Call the callbacks for everything that has arrived."""
        for channel in self._channels:
            with channel.subscription.handle:
                channel.drain()

    def skim(self) -> None:
        """Keep only the newest message of each topic; `take` reads it."""
        for channel in self._channels:
            with channel.subscription.handle:
                channel.skim()

    def wait(self, loop: EventLoop, done: Callable[[], bool], what: str) -> None:
        """Take messages as they arrive until `done()`; see `EventLoop.wait`."""
        self.take()
        if done():
            return
        # Arrivals raise events while the node is spun. The executor adds the node at its next turn,
        # and earlier arrivals raise no event: so look again after each turn, however it ended.
        loop.executor.add_node(self.node)

        def look() -> bool:
            self.take()
            return done()

        try:
            loop.once(0.0)
            loop.wait(look, what)
        finally:
            loop.executor.remove_node(self.node)
