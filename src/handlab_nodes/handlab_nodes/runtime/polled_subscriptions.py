"""Subscriptions that are read when asked, and wake nobody in between.

In lockstep most of a step's time is threads waking each other. A node that needs three messages of
one stamp need not wake for the first two: it wakes for the one that comes last, then takes the
others, which as a rule are there already.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.qos import QoSProfile

from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Channel, Inbox

T = TypeVar("T")


class PolledSubscriptions:
    """Quiet subscriptions of one node.

    Args:
        owner: the node they belong to; a second node, which is not spun, holds them, and is
            destroyed with the first.
        role: of this listener, where the owner has several.
    """

    def __init__(self, owner: Node, role: str = "listener") -> None:
        self.node = Node(
            f"_{owner.get_name().lstrip('_')}_{role}",  # hidden: not for people
            namespace=owner.get_namespace(),
            context=owner.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        owner.companions = [*getattr(owner, "companions", ()), self.node]
        self._inbox, self._channels = Inbox.of(owner), list[Channel[Any]]()

    def listen(
        self,
        kind: type,
        topic: str,
        decode: Callable[[bytes], T],
        use: Callable[[T], None],
        qos: QoSProfile,
    ) -> None:
        """Subscribe as `Inbox.subscribe` does; `use` is called by `take` and `wait` only."""
        channel = self._inbox.subscribe(kind, topic, decode, use, qos, holder=self.node)
        self._channels.append(channel)

    def take(self) -> None:
        """Call the callbacks for everything that has arrived."""
        for channel in self._channels:
            with channel.subscription.handle:
                channel.drain()

    def skim(self) -> None:
        """Keep only the newest of what has arrived, and read it when it is taken."""
        for channel in self._channels:
            with channel.subscription.handle:
                channel.skim()

    def wait(self, loop: EventLoop, done: Callable[[], bool], what: str) -> None:
        """Take what has arrived until `done()`; see `EventLoop.wait`."""
        self.take()
        if done():
            return
        # Spun, arrivals raise events. The executor learns of the node at its next turn only, and
        # what arrives until then raises none: so look again after each turn, however it ended.
        loop.executor.add_node(self.node)

        def look() -> bool:
            self.take()
            return done()

        try:
            loop.once(0.0)
            loop.wait(look, what)
        finally:
            loop.executor.remove_node(self.node)
