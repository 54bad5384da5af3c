"""Notice that a driver was deactivated or stopped: a goal that needs it ends, with the reason."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from lifecycle_msgs.msg import State, TransitionEvent
from rclpy.node import Node
from std_msgs.msg import Bool

from handlab_core.errors import HandStopped, StationFault
from handlab_interfaces.msg import HandStatus
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Inbox

OVER = "shuttingdown", "finalized"
"""States without a way back."""

DEPTH = 10
"""Messages; queue of transition events. rcl_lifecycle's publisher has rmw's default."""

GRACE = 2.0
"""Seconds between a deactivation and the end of a goal, unless the driver has said before that it
is no emergency stop. That message is another publisher's and may arrive after the transition."""

SETTLE = 0.2
"""Seconds between such a message and the end of a goal: an older one may arrive late."""

STOP_PATIENCE = 86400.0
"""Seconds; longest wait for a person who engages a stopped hand again: a day."""


class DriverMonitor:
    """Follows the lifecycle of a station's drivers.

    A driver that was never active is being started, and goals wait for it. Only an active driver
    publishes its status. So a status counts as active, too: a restarted driver may be active before
    its events arrive.

    Args:
        node: owner of the subscriptions.
    """

    def __init__(self, node: Node) -> None:
        self._inactive: dict[str, tuple[str, float]] = {}  # state, and monotonic time of its begin
        self._plain: dict[str, float] = {}  # monotonic time at which an inactive driver has said
        # that it is not stopped
        self._left = ""  # driver that left the active state since `begin`
        self._flagged: set[str] = set()  # drivers whose newest word is that they are stopped
        self._stopped: set[str] = set()  # drivers that are stopped, or not active again after it
        self._hit = False  # whether a driver was stopped since `begin`
        hear, event = Inbox.of(node).subscribe, convert.decoder(TransitionEvent, _states)
        status = convert.decoder(HandStatus, lambda message: None)
        stopped = convert.decoder(Bool, lambda message: message.data)
        for driver in topics.DRIVERS:
            senders = (driver,)
            use = partial(self._on_state, driver)
            topic = f"{driver}/transition_event"
            hear(TransitionEvent, topic, event, use, DEPTH, senders=senders)
            topic, flag = topics.of_driver(driver, topics.STOPPED), partial(self._on_flag, driver)
            hear(Bool, topic, stopped, flag, qos.LATCHED_CHANGES, senders=senders)
        statuses = topics.HAND_STATUS, topics.FIXTURE_STATUS
        for driver, topic in zip(topics.DRIVERS, statuses, strict=True):
            hear(HandStatus, topic, status, partial(self._on_status, driver), DEPTH)

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop holds a driver."""
        return bool(self._stopped)

    def begin(self) -> None:
        """Forget the transitions and stops before the present goal."""
        self._left, self._hit = "", False

    def await_engaged(self, loop: EventLoop) -> None:
        """Forget the present stop, and wait until it has ended."""
        self.begin()
        engaged, what = lambda: not self._stopped, "a person to engage the stopped hand"
        self.wait_through(loop, engaged, what, STOP_PATIENCE, missing=lambda: False)

    def wait_through(
        self, loop: EventLoop, done: Callable[[], bool], *rest: Any, **more: Any
    ) -> None:
        """Wait as `EventLoop.wait` does, whatever the emergency stop does meanwhile."""
        while True:
            with suppress(HandStopped):
                loop.wait(done, *rest, **more)
                return
            self._hit = False

    def check(self) -> None:
        """Raise an exception if the goal cannot go on.

        Raises:
            HandStopped: a driver was stopped since the goal began, or since `await_engaged`.
            StationFault: a driver is not active, or was not since the goal began.
        """
        if self._hit:
            raise HandStopped
        now = time.monotonic()
        for driver, (state, since) in self._inactive.items():
            if state in OVER:
                raise StationFault(f"the {driver} is {state}: start it again")
            known = min(self._plain.get(driver, now) + SETTLE, since + GRACE) <= now
            if driver not in self._stopped and known:
                raise StationFault(f"the {driver} is {state}: activate it to go on")
        if self._left and self._left not in self._inactive:
            raise StationFault(f"the {self._left} was deactivated meanwhile; it is active again")

    def _on_state(self, driver: str, states: tuple[int, int, str]) -> None:
        start, goal, label = states
        if goal == State.PRIMARY_STATE_ACTIVE:
            self._on_status(driver, None)
        elif start == State.PRIMARY_STATE_ACTIVE or driver in self._inactive:
            _, since = self._inactive.get(driver, ("", time.monotonic()))
            self._inactive[driver] = label, since
            if driver not in self._stopped:
                self._left = driver

    def _on_status(self, driver: str, _: None) -> None:
        self._inactive.pop(driver, None)
        self._plain.pop(driver, None)
        self._settle(driver)

    def _on_flag(self, driver: str, stopped: bool) -> None:
        if stopped:
            self._hit = self._hit or driver not in self._stopped  # else it is stopped once more
            self._flagged.add(driver)
            self._stopped.add(driver)
            self._left = "" if self._left == driver else self._left
        else:
            self._flagged.discard(driver)
            if driver in self._inactive:
                self._plain[driver] = time.monotonic()
            self._settle(driver)

    def _settle(self, driver: str) -> None:
        """End a driver's stop once it is both engaged and active."""
        if driver not in self._flagged and driver not in self._inactive:
            self._stopped.discard(driver)


def _states(message: TransitionEvent) -> tuple[int, int, str]:
    """Read the states that a transition began and ended in."""
    return message.start_state.id, message.goal_state.id, message.goal_state.label
