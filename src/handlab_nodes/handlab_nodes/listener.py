"""Subscriptions that are read when asked, and wake nobody in between.

In lockstep most of a step's time is threads waking each other. A node that needs three messages of
one stamp need not wake for the first two: it wakes for the one that comes last, then takes the
others, which as a rule are there already.
"""

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile

from handlab_nodes.spinner import Spinner


class Listener:
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

    def listen(
        self, kind: type, topic: str, callback: Callable[[bytes], None], qos: QoSProfile
    ) -> None:
        """Subscribe to serialised messages; the callback is called by `take` and `wait` only."""
        self.node.create_subscription(kind, topic, callback, qos, raw=True)

    def take(self) -> None:
        """Call the callbacks for everything that has arrived."""
        for subscription in self.node.subscriptions:
            with subscription.handle:
                while taken := subscription.handle.take_message(subscription.msg_type, True):
                    subscription.callback(taken[0])

    def wait(self, spinner: Spinner, done: Callable[[], bool], what: str) -> None:
        """Take what has arrived until `done()`; see `Spinner.wait`."""
        self.take()
        if done():
            return
        # Spun, arrivals raise events. The executor learns of the node at its next turn only, and
        # what arrives until then raises none: so look again after each turn, however it ended.
        spinner.executor.add_node(self.node)

        def look() -> bool:
            self.take()
            return done()

        try:
            spinner.once(0.0)
            spinner.wait(look, what)
        finally:
            spinner.executor.remove_node(self.node)
