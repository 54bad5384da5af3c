"""Client of the recorder: switches the recording of a bag on and off."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_srvs.srv import SetBool

from handlab_core.errors import StationFault
from handlab_nodes.messages import topics
from handlab_nodes.runtime.event_loop import EventLoop


class RecorderClient:
    """Switches the recorder of the graph; does nothing where none is wanted.

    Args:
        node: owner of the client.
        wanted: whether the graph has a recorder.
        publishers: their messages reach the bag before a recording ends.
    """

    def __init__(self, node: Node, wanted: bool, publishers: Sequence[Publisher] = ()) -> None:
        self._wanted, self._publishers = wanted, publishers
        self._service = node.create_client(SetBool, topics.RECORD)

    def record(self, on: bool, loop: EventLoop) -> None:
        """Begin or end a recording.

        Raises:
            StationFault: the recorder refuses, for example because its disk is full.
        """
        if not self._wanted:
            return
        if not on:
            for publisher in self._publishers:
                publisher.wait_for_all_acked()
        answer = loop.ask(self._service, SetBool.Request(data=on), topics.RECORD)
        if not answer.success:
            raise StationFault(f"the recorder: {answer.message}")

    @contextmanager
    def recording(
        self,
        loop: EventLoop,
        carry_out: Callable[[Callable[[], None]], None] = lambda step: step(),
    ) -> Iterator[None]:
        """Record within the context; the recording ends whatever happens inside.

        Args:
            loop: event loop of the node.
            carry_out: calls the step that begins the recording, again if need be.
        """
        carry_out(lambda: self.record(True, loop))
        try:
            yield
        finally:
            with loop.undisturbed():
                self.record(False, loop)
