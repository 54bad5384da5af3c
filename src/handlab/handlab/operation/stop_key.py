"""Emergency stop by a key: the space bar lets the hand go, in every verb that moves one."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from handlab.operation.keyboard import Keyboard
from handlab.reporting.terminal import show
from handlab_core.safety.emergency_stop import simulated_hands

STOP, ENGAGE = " ", "e"
"""Keys: the largest one, and one that a hand in haste does not hit."""

HINT = "space: stop the hand at once; Ctrl-C: end"
STOPPED = "STOPPED: the hand is let go; e: engage it again; Ctrl-C: end"

DELIBERATE = 0.5
"""Seconds after a stop in which no key engages the hand: a fist may hit several keys at once."""


class Switch(Protocol):
    """A way to stop hands; its methods are called by the keyboard's thread."""

    def stop(self) -> str:
        """Release the hands; return how that was confirmed, in words."""
        ...

    def engage(self, engaged: Callable[[str], None]) -> None:
        """Engage the hands again, without waiting for it.

        Args:
            engaged: called at the end, with an empty text or the reason of a failure.
        """
        ...

    def suspend(self) -> bool:
        """Stop hands that would move while this process is suspended; return whether it did."""
        ...


class SimulatedHands:
    """Implements `Switch` for hands that this process simulates: their worlds stand still."""

    def stop(self) -> str:
        """See `Switch.stop`."""
        simulated_hands.stop()
        return "the simulation stands still"

    def engage(self, engaged: Callable[[str], None]) -> None:
        """See `Switch.engage`."""
        simulated_hands.engage()
        engaged("")

    def suspend(self) -> bool:
        """See `Switch.suspend`; the worlds are suspended, too."""
        return False


class StopKey:
    """Keys of a verb that moves a hand, as a context; without a terminal there are none.

    Args:
        switch: stops and engages the hands.
        enabled: whether there are hands.
        say: shows the operator a line.
    """

    def __init__(
        self, switch: Switch, enabled: bool = True, say: Callable[[str], None] = show
    ) -> None:
        self._switch, self._enabled, self._say = switch, enabled, say
        self._keyboard = Keyboard(self._on_key, self._on_suspend)
        self._others: deque[str] = deque(maxlen=100)
        self._lock = threading.Lock()
        self._stops, self._stopped_at = 0, 0.0  # number, and monotonic time of the newest
        self.stopped = False
        """Whether the operator has stopped the hand."""

    def __enter__(self) -> Self:
        """Begin to read keys."""
        if self._enabled:
            self._keyboard.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back; hands that this process simulates may be used again."""
        self._keyboard.__exit__()
        simulated_hands.engage()

    @property
    def present(self) -> bool:
        """Whether there is a terminal to press keys on."""
        return self._keyboard.present

    @property
    def line(self) -> str:
        """Line for a display: the keys, and whether the hand is stopped; empty without keys."""
        if not self.present:
            return ""
        return STOPPED if self.stopped else HINT

    def announce(self) -> None:
        """Show which key stops the hand."""
        if self.present:
            self._say(HINT)

    def pressed(self) -> str:
        """Return the next key that is not of the emergency stop; empty if there is none."""
        return self._others.popleft() if self._others else ""

    def _on_key(self, key: str) -> None:
        if key == STOP:
            self._stop()
        elif key == ENGAGE and self.stopped:
            if time.monotonic() - self._stopped_at > DELIBERATE:
                self._engage()
        else:
            self._others.append(key)

    def _stop(self) -> None:
        with self._lock:
            began = self._stopped_at = time.monotonic()
            self._stops += 1
            self.stopped = True
        self._others.clear()
        confirmation = self._switch.stop()
        self._say(f"{STOPPED} ({confirmation} after {1e3 * (time.monotonic() - began):.0f} ms)")

    def _engage(self) -> None:
        stops = self._stops

        def engaged(failure: str) -> None:
            with self._lock:
                if self._stops != stops:  # stopped once more meanwhile
                    return
                self.stopped = bool(failure)
            self._say(
                f"the hand cannot be engaged: {failure}" if failure else "the hand is engaged again"
            )

        self._switch.engage(engaged)

    def _on_suspend(self) -> None:
        if self._switch.suspend():
            self._stops += 1
            self.stopped = True
            self._say(STOPPED)
