"""Lets a hand go when the process that drives it dies or stands still.

Motors whose host falls silent may go on holding: a Dynamixel servo stops by its own bus watchdog,
but keeps its torque (e-manual, Bus Watchdog). So while a hand is engaged, a second process listens
to its driver on a pipe.

| on the pipe                          | what the guardian does                                 |
|--------------------------------------|--------------------------------------------------------|
| a beat                               | waits for the next                                     |
| no beat for LATE                     | lets the hand go, and waits for the driver to wake     |
| a question: the driver was away      | stops letting go, and answers whether it has           |
| a farewell                           | ends: the motors are released, or another driver's     |
| the end of the pipe, by the kernel   | lets the hand go and ends: the driver is dead          |

The driver asks before it touches the bus again, so that the two never write at the same time. The
guardian cannot help where the computer itself dies.
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

BEAT, QUESTION, FAREWELL = b".", b"?", b"q"
LET_GO, KEPT = b"y", b"n"
"""The answers to a question."""

BEAT_PERIOD = 0.1
"""Seconds between beats at most as often as this."""

LATE = 1.0
"""Seconds without a beat, after which the hand is let go. Longer than the pauses of a driver on a
busy computer, short enough that the hand is limp two seconds after the last command."""

AWAY = LATE / 2
"""Seconds; a driver that finds this gap between its beats asks whether the hand was let go."""

ANSWER_TIMEOUT = 0.5
"""Seconds; a guardian that does not answer in this time is replaced."""

REPEATS, GAP = 5, 0.05
"""Letting go is not confirmed, so it is repeated; seconds between."""


class Guardian:
    """Watches over one hand for as long as this process lives.

    Args:
        let_go: `module:function` that turns the motors off, called with the arguments below in the
            guardian's process; may raise OSError.
        arguments: of that function, as text; the first names the bus.
        clock: s, monotonic.
    """

    def __init__(
        self, let_go: str, *arguments: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._words = [sys.executable, "-m", __name__, let_go, *arguments]
        self._clock = clock
        self._last = clock()
        self.replaced = 0
        """Number of guardians that died or did not answer, and were replaced."""
        self._start()

    def beat(self) -> bool:
        """Show that the driver lives; call it before each cycle on the bus.

        Returns:
            Whether the guardian has let the hand go since the last call. After a gap in the beats
            this waits for the guardian's answer, and then it touches the bus no more.
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
        except OSError:  # it is dead, or has not read for hours
            self._replace()
            return gap >= AWAY

    def dismiss(self) -> None:
        """End the guardian: the motors are released, or another driver's. Twice is harmless."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                self._say(FAREWELL)
            self._shut()

    def _start(self) -> None:
        # A session of its own: what ends the driver's whole group must not end the guardian.
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
        self._say(BEAT)

    def _say(self, word: bytes) -> None:
        os.write(self._to, word)

    def _answer(self) -> bytes:
        """Return the answer to a question; OSError if none comes."""
        if not select.select([self._from], [], [], ANSWER_TIMEOUT)[0]:
            raise TimeoutError
        if not (word := os.read(self._from, 1)):
            raise BrokenPipeError
        return word

    def _replace(self) -> None:
        self.replaced += 1
        self._process.kill()
        self._shut()
        self._start()

    def _shut(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main(let_go: str, *arguments: str) -> int:
    """Listen to the driver until it ends; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the driver, not before
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
            os.write(sys.stdout.fileno(), LET_GO if released else KEPT)
            released = False


def _speaks(timeout: float | None) -> bool:
    """Wait until the driver says something, or the pipe ends."""
    return bool(select.select([sys.stdin.fileno()], [], [], timeout)[0])


def _let_go(release: Callable[..., None], arguments: tuple[str, ...], why: str) -> int:
    """Turn the motors off, again and again until the driver speaks; return the exit code."""
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
