"""Emergency stop of the simulated hands of this process; a graph's drivers have a service instead.

The terminal's thread stops and engages; the threads that simulate check or wait.
"""

import threading

from handlab_core.errors import HandStopped


class EmergencyStop:
    """A switch that stops simulated hands: their worlds stand still until it engages again."""

    def __init__(self) -> None:
        self._engaged = threading.Event()
        self._engaged.set()

    @property
    def stopped(self) -> bool:
        """Whether hands are stopped now."""
        return not self._engaged.is_set()

    def stop(self) -> None:
        """Stop the hands before their next step. Twice is harmless."""
        self._engaged.clear()

    def engage(self) -> None:
        """Let the hands go on. Twice is harmless."""
        self._engaged.set()

    def check(self) -> None:
        """Raise HandStopped if hands are stopped now."""
        if self.stopped:
            raise HandStopped

    def wait(self) -> None:
        """Wait while hands are stopped; a signal's exception ends the wait."""
        self._engaged.wait()


simulated_hands = EmergencyStop()
"""The switch of all hands that this process simulates."""
