"""Guardian: a second process that turns the motors off when the driver dies or stands still.

Motors may keep their torque when the host falls silent. The bus watchdog of a Dynamixel servo stops
the motion but keeps the torque (e-manual, Bus Watchdog). While a hand is engaged, the guardian
therefore listens to the driver on a pipe.

| on the pipe                          | action of the guardian                                 |
|--------------------------------------|--------------------------------------------------------|
| a heartbeat                          | wait for the next one                                  |
| no heartbeat for LATE                | turn the motors off until the driver speaks            |
| a question: the driver stood still   | stop turning off, and answer whether it happened       |
| a farewell                           | exit: the motors are released, or another driver's     |
| end of file, from the kernel         | turn the motors off and exit: the driver is dead       |

The driver asks before it uses the bus again, so that both never write at the same time. A guardian
does not protect against the death of the computer.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module

from handlab_core.errors import StationFault

BEAT, QUESTION, FAREWELL = b".", b"?", b"q"
RELEASED, KEPT = b"y", b"n"
"""Answers to a question."""

BEAT_PERIOD = 0.1
"""s; shortest time between two heartbeats."""

LATE = 1.0
"""s; timeout after which a driver without heartbeat counts as stalled.

The timeout exceeds the pauses of a driver on a busy computer. The hand is limp two seconds after
the last command."""

AWAY = LATE / 2
"""s; gap between heartbeats after which the driver asks whether the motors were turned off."""

ANSWER_TIMEOUT = 0.5
"""s; a guardian that does not answer within this time is replaced."""

START_TIMEOUT = 30.0
"""s; longest start of a guardian, on a busy computer too."""

STANDSTILL = (
    "the driver stood still, and its guardian let the hand go; the joints engage from where they "
    "are now"
)
"""Report of a driver whose guardian has turned the motors off."""

REPORT_STANDSTILL = 5.0
"""s; time for which a driver reports a standstill afterwards."""

REPEATS, GAP = 5, 0.05
"""Number of repetitions of an unconfirmed turn-off, and the time between them, s."""


class Guardian:
    """Guardian process of one hand, seen from its driver.

    Args:
        let_go: `module:function` that turns the motors off. The guardian's process calls it with
            the arguments below. It may raise OSError.
        arguments: arguments of that function, as text; the first names the bus.
        clock: monotonic clock, s.
    """

    def __init__(
        self, let_go: str, *arguments: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._words = [sys.executable, "-m", __name__, let_go, *arguments]
        self._clock = clock
        self._last = clock()
        self.replaced = 0
        """Number of guardian processes that were replaced because they did not answer."""
        self._start()

    def await_ready(self) -> None:
        """Wait until the guardian listens; call this method before motors are engaged.

        A driver that died or stood still earlier would leave them engaged.

        Raises:
            StationFault: the guardian does not start.
        """
        try:
            self._say(QUESTION)
            self._answer(START_TIMEOUT)
        except OSError as error:
            raise StationFault(
                f"the guardian of the motors does not start ({error or 'no answer'}); free the "
                "processor or memory of this computer, and activate the driver again"
            ) from error
        self._last = self._clock()

    def beat(self) -> bool:
        """Send a heartbeat; call this method before each cycle on the bus.

        After a gap between heartbeats this method waits for the guardian's answer. The guardian
        does not use the bus after its answer.

        Returns:
            Whether the guardian has turned the motors off since the last call.
        """
        now = self._clock()
        gap = now - self._last
        if gap < BEAT_PERIOD:
            return False
        self._last = now
        try:
            if gap < AWAY:
                self._say(BEAT)
                return False
            self._say(QUESTION)
            return self._answer() != KEPT
        except OSError:  # the guardian is dead, or its pipe is full
            self._replace()
            return gap >= AWAY

    def dismiss(self) -> None:
        """End the guardian without turning the motors off. A second call has no effect."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                self._say(FAREWELL)
            self._shut()

    def _start(self) -> None:
        # A session of its own: a signal to the driver's process group must not end the guardian.
        self._process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        self._last = self._clock()

    def _say(self, word: bytes) -> None:
        os.write(self._to, word)

    def _answer(self, timeout: float = ANSWER_TIMEOUT) -> bytes:
        """Return the answer to a question; raise OSError if none arrives."""
        if not select.select([self._from], [], [], timeout)[0]:
            raise TimeoutError
        if not (word := os.read(self._from, 1)):
            raise BrokenPipeError
        return word

    def _replace(self) -> None:
        self.replaced += 1
        self._process.kill()
        self._shut()
        self._start()
        self._say(BEAT)

    def _shut(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main(let_go: str, *arguments: str) -> int:
    """Listen to the driver until it ends; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the guardian outlives the driver
    module, _, name = let_go.partition(":")
    release: Callable[..., None] = getattr(import_module(module), name)
    heard, released = False, False
    while True:
        if not _speaks(LATE if heard and not released else None):
            released = True
            _let_go(release, arguments, "stands still")
            continue
        words = os.read(sys.stdin.fileno(), select.PIPE_BUF)
        heard = True
        if FAREWELL in words:
            return 0
        if not words:
            return _let_go(release, arguments, "died")
        if QUESTION in words:
            os.write(sys.stdout.fileno(), RELEASED if released else KEPT)
            released = False


def _speaks(timeout: float | None) -> bool:
    """Wait for a message or the end of the pipe; return whether one of them came in time."""
    return bool(select.select([sys.stdin.fileno()], [], [], timeout)[0])


def _let_go(release: Callable[..., None], arguments: tuple[str, ...], why: str) -> int:
    """Turn the motors off REPEATS times or until the driver speaks; return the exit code."""
    failure = ""
    for _ in range(REPEATS):
        try:
            release(*arguments)
            failure = ""
        except OSError as error:
            failure = str(error)
        if why != "died" and _speaks(GAP):
            break
        time.sleep(GAP if why == "died" else 0.0)
    end = f"its motors cannot be released: {failure}" if failure else "its motors are released"
    sys.stderr.write(f"the driver of {arguments[0]} {why}; {end}\n")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
