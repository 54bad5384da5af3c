"""A terminal for programs that are tested as a person uses them."""

import contextlib
import os
import pty
import select
import signal
import termios
import time

import pytest


class Terminal:
    """A program on a pseudo-terminal of its own; its standard streams are that terminal."""

    def __init__(self, command, cwd):
        self.said = ""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvp(command[0], command)
        self.before, self._status = self.modes(), None

    def modes(self):
        """Modes of the terminal, as the program left them."""
        return termios.tcgetattr(self._master)

    @property
    def echoes(self):
        """Whether the terminal reads lines and echoes keys, as a shell expects it."""
        return self.modes()[3] & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO

    def press(self, keys):
        os.write(self._master, keys.encode())
        return time.monotonic()

    def listen(self, seconds=0.0):
        """Take what the program writes for some time; a full terminal would stop it."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return
            try:
                self.said += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # the program has ended
                return

    def until(self, done, what, seconds=60.0):
        """Wait until `done()`, or until the program has said a text; return how long that took."""
        began, start = time.monotonic(), len(self.said)
        there = (lambda: done in self.said[start:]) if isinstance(done, str) else done
        while not there():
            assert time.monotonic() - began < seconds, f"waited for {what}: {self.said[-2000:]}"
            self.listen(0.002)
        return time.monotonic() - began

    def ended(self):
        """Whether the program has ended."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status is not None

    def code(self, seconds=60.0):
        """Wait for the end of the program and return its exit code."""
        self.until(self.ended, "the end", seconds)
        self.listen()
        return self._status

    def close(self):
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)


@pytest.fixture
def terminal():
    """Start programs on terminals of their own."""
    started = []

    def start(*command, cwd="."):
        started.append(Terminal([str(word) for word in command], cwd))
        return started[-1]

    yield start
    for program in started:
        program.close()
