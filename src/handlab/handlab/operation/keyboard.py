"""Single keys of the terminal, without Enter."""

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Self

LOOK_EVERY = 0.1
"""Seconds between two looks whether this process is in the foreground of its terminal."""

MOST_KEYS = 64
"""Bytes read at once."""


class Keyboard:
    """Reads keys in a thread as they are pressed, as a context; nothing without a terminal.

    The terminal's modes are those of before after every end but SIGKILL, and while this process is
    suspended. In the background the keys belong to other processes.

    Args:
        on_key: called by the thread with each key.
        on_suspend: called by the main thread before Ctrl-Z suspends this process.
    """

    def __init__(
        self, on_key: Callable[[str], None], on_suspend: Callable[[], None] = lambda: None
    ) -> None:
        self._on_key, self._on_suspend = on_key, on_suspend
        self._terminal: int | None = None
        self._before: list[Any] | None = None  # modes of the terminal; None: not changed yet
        self._suspended = False
        self._lock = threading.RLock()  # of the modes
        self._thread = threading.Thread(target=self._listen, name="keyboard", daemon=True)
        self._old_handler: Any = None

    @property
    def present(self) -> bool:
        """Whether there is a terminal to press keys on."""
        return self._terminal is not None

    def __enter__(self) -> Self:
        """Begin to read keys."""
        if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
            return self
        self._terminal = sys.stdin.fileno()
        self._wake, self._waker = os.pipe()
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.getsignal(signal.SIGTSTP)
            if self._old_handler is not signal.SIG_IGN:
                signal.signal(signal.SIGTSTP, self._suspend)
        self._claim()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        if self._terminal is None:
            return
        os.write(self._waker, b"x")
        self._thread.join()
        self._give_back()
        if self._old_handler is not None:
            signal.signal(signal.SIGTSTP, self._old_handler)
        os.close(self._wake)
        os.close(self._waker)
        self._terminal = None

    def _listen(self) -> None:
        terminal = self._terminal
        assert terminal is not None
        while True:
            mine = self._claim()
            files = [self._wake, terminal] if mine else [self._wake]
            ready, _, _ = select.select(files, [], [], LOOK_EVERY)
            if self._wake in ready:
                return
            if terminal in ready and self._in_foreground():
                try:
                    keys = os.read(terminal, MOST_KEYS)
                except OSError:
                    return  # the terminal is gone
                if not keys:
                    return
                for key in keys.decode(errors="replace"):
                    self._on_key(key)

    def _in_foreground(self) -> bool:
        assert self._terminal is not None
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return False

    def _claim(self) -> bool:
        """Have keys arrive as they are pressed, and without echo; return whether they do.

        The shell may have changed the modes while this process was suspended.
        """
        with self._lock:
            assert self._terminal is not None
            if self._suspended or not self._in_foreground():
                return False
            try:
                modes = termios.tcgetattr(self._terminal)
                if modes[tty.LFLAG] & termios.ICANON:
                    self._before = modes
                    tty.setcbreak(self._terminal, termios.TCSANOW)
            except termios.error:
                return False
            return True

    def _give_back(self) -> None:
        with self._lock:
            if self._before is None or not self._in_foreground():
                return
            assert self._terminal is not None
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Suspend this process as SIGTSTP does, with the terminal as it was before."""
        self._on_suspend()
        with self._lock:
            self._suspended = True
            self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here the process goes on after SIGCONT.
        signal.signal(signal.SIGTSTP, self._suspend)
        self._suspended = False
