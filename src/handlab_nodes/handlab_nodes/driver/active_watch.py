"""Notice that a driver was deactivated: a goal that needs it ends at once, with the reason."""

from functools import partial

from lifecycle_msgs.msg import State, TransitionEvent
from rclpy.node import Node

from handlab_core.errors import StationFault
from handlab_interfaces.msg import HandStatus
from handlab_nodes.messages import convert, topics
from handlab_nodes.runtime.inbox import Inbox

OVER = "shuttingdown", "finalized"
"""States without a way back."""

DEPTH = 10
"""Messages; queue of transition events. rcl_lifecycle's publisher has rmw's default."""


class DriverWatch:
    """Follows the lifecycle of a station's drivers.

    A driver that was never active is being started, and goals wait for it. Only an active driver
    publishes its status. So a status counts as active, too: a restarted driver may be active before
    its events arrive.

    Args:
        node: owner of the subscriptions.
    """

    def __init__(self, node: Node) -> None:
        self._stopped: dict[str, str] = {}  # state of each driver that is not active
        self._left = ""  # driver that left the active state since `begin`
        hear, event = Inbox.of(node).subscribe, convert.decoder(TransitionEvent, _states)
        status = convert.decoder(HandStatus, lambda message: None)
        for driver in topics.DRIVERS:
            use = partial(self._on_state, driver)
            topic = f"{driver}/transition_event"
            hear(TransitionEvent, topic, event, use, DEPTH, senders=(driver,))
        statuses = topics.HAND_STATUS, topics.FIXTURE_STATUS
        for driver, topic in zip(topics.DRIVERS, statuses, strict=True):
            hear(HandStatus, topic, status, partial(self._on_status, driver), DEPTH)

    def begin(self) -> None:
        """Forget the transitions before the present goal."""
        self._left = ""

    def check(self) -> None:
        """Raise StationFault if a driver is not active, or was not since the goal began."""
        for driver, state in self._stopped.items():
            remedy = "start it again" if state in OVER else "activate it to go on"
            raise StationFault(f"the {driver} is {state}: {remedy}")
        if self._left:
            raise StationFault(f"the {self._left} was deactivated meanwhile; it is active again")

    def _on_state(self, driver: str, states: tuple[int, int, str]) -> None:
        start, goal, label = states
        if goal == State.PRIMARY_STATE_ACTIVE:
            self._stopped.pop(driver, None)
        elif start == State.PRIMARY_STATE_ACTIVE or driver in self._stopped:
            self._stopped[driver], self._left = label, driver

    def _on_status(self, driver: str, _: None) -> None:
        self._stopped.pop(driver, None)


def _states(message: TransitionEvent) -> tuple[int, int, str]:
    """Read the states that a transition began and ended in."""
    return message.start_state.id, message.goal_state.id, message.goal_state.label
