"""Emulated serial port: a pseudo-terminal that answers when a real adapter would.

The bus determines the times of packets; this module adds its own wake-up time. It therefore
computes a reply while the instruction is still on the wire, sleeps until shortly before the reply
is due, and then polls the clock.
"""

import contextlib
import fcntl
import heapq
import logging
import os
import select
import socket
import struct
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Self

from handlab_core.errors import BadConfig, HandlabError, StationFault
from handlab_core.system.scheduling import use_realtime_priority
from handlab_hardware.dynamixel.emulator.bus import Bus
from handlab_hardware.dynamixel.emulator.control import ControlChannel
from handlab_hardware.dynamixel.emulator.faults import Fault

SPIN_S = 100e-6
"""s; time before a reply in which the clock is polled; chosen."""

IDLE_S = 2e-3  # s; time between updates of the servos without instructions
WAKE_S = 0.02
"""s; simulated end of a rest, at least one period of any physics.

A hand may have turned the servos during the rest."""
MAX_LAG_S = 0.25  # s; largest delay of the servos that is made up for
UNPLUG_S = 1.0  # s; default duration of the fault `unplug`
READ_SIZE = 4096  # bytes

TCGETS2 = 0x802C542A  # asm-generic/ioctls.h; returns any speed as a number
TERMIOS2 = struct.Struct("4I20B2I")

log = logging.getLogger(__name__)


class EmulatedPort:
    """Pseudo-terminal in front of a bus.

    Args:
        bus: bus that answers.
        link: symbolic link to the port; it stays the same after `unplug`.
        baud: speed of the wire, bit/s; None: the client's speed, as with a real adapter.
        control: path of the socket for faults from other processes; None: no socket.
        clock: clock, s; the bus's time begins at the opening of the port.

    Raises:
        BadConfig: link or socket cannot be used.
        StationFault: the link cannot be made.
    """

    def __init__(
        self,
        bus: Bus,
        link: Path | None = None,
        baud: int | None = None,
        control: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bus, self.link, self.control = bus, link, control
        self._baud, self._clock = baud, clock
        self._replies: list[tuple[float, int, bytes]] = []
        self._order = count()
        self._master = self._slave = -1
        self._terminal = ""
        self._plugged_at: float | None = None
        """s; time at which an unplugged port returns; None: the port is plugged in."""
        self._requests: deque[Fault] = deque()
        """Faults from any thread that `serve` has not processed."""
        self._thread: threading.Thread | None = None
        self._running = True
        self._began = clock()
        self._channel = None if control is None else ControlChannel(control, self.inject)
        self._wake, self._waker = socket.socketpair()
        try:
            self._plug()
        except HandlabError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Return the path that a client opens."""
        return str(self.link) if self.link is not None else self._terminal

    def inject(self, fault: Fault) -> None:
        """Inject a fault before the next instruction; callable from any thread."""
        self._requests.append(fault)
        self._waker.send(b"!")

    def start(self) -> Self:
        """Serve from a thread."""
        self._thread = threading.Thread(target=self.serve, name="emulated-port", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Request `serve` to return; callable from any thread or signal handler."""
        self._running = False
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def close(self) -> None:
        """Stop serving, and close port, link and socket; a second call has no effect."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._unplug()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._wake.close()
        self._waker.close()

    def __enter__(self) -> Self:
        return self if self._thread is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def serve(self) -> None:
        """Answer until `stop`."""
        use_realtime_priority()
        while self._running:
            if self._release():
                self.bus.advance(self._keep_up())  # use the client's thinking time
            ready_now = self._wait()
            self._take_requests()
            for ready in ready_now:
                if ready == self._master:
                    self._receive()
                elif ready == self._wake.fileno():
                    self._wake.recv(READ_SIZE)
                elif self._channel is not None:
                    self._channel.serve(ready)

    def _now(self) -> float:
        return self._clock() - self._began

    def _keep_up(self) -> float:
        """Return the bus's time, which leaves out delays above MAX_LAG_S."""
        now = self._now()
        lag = now - self.bus.loop.time
        if lag <= MAX_LAG_S:
            return now
        self._began += lag
        log.warning("the emulator fell %.2f s behind; it leaves this time out", lag)
        return self.bus.loop.time

    def _wait(self) -> list[int]:
        """Return file descriptors that are ready, after waiting until the next work is due."""
        watched = [self._wake.fileno()]
        if self._master >= 0:
            watched.append(self._master)
        if self._channel is not None:
            watched += self._channel.watched()
        resting = self.bus.resting and not self._replies
        timeout: float | None = IDLE_S
        if self._replies:
            timeout = min(IDLE_S, max(self._replies[0][0] - self._now() - SPIN_S, 0.0))
        elif resting:
            timeout = None if self._plugged_at is None else self._plugged_at - self._now()
        ready, _, _ = select.select(watched, (), (), timeout and max(timeout, 0.0))
        if resting:
            self.bus.loop.skip(self._now() - WAKE_S)
        if not ready and not self._replies:
            self.bus.advance(self._keep_up())
        return ready

    def _take_requests(self) -> None:
        while self._requests:
            fault = self._requests.popleft()
            if fault.fault == "unplug":
                self._unplug()
                seconds = UNPLUG_S if fault.seconds is None else fault.seconds
                self._plugged_at = self._now() + seconds
            else:
                self.bus.faults.inject(fault)
        if self._plugged_at is not None and self._now() >= self._plugged_at:
            self._plug()

    def _receive(self) -> None:
        now = self._keep_up()
        try:
            data = os.read(self._master, READ_SIZE)
        except OSError:  # the port was unplugged meanwhile
            return
        for reply in self.bus.receive(data, now, self._baud or self._client_baud()):
            heapq.heappush(self._replies, (reply.time, next(self._order), reply.data))

    def _release(self) -> bool:
        """Write the replies that are due within SPIN_S; return whether there were any."""
        released = False
        while self._replies and self._replies[0][0] - self._now() <= SPIN_S:
            due, _, data = heapq.heappop(self._replies)
            while self._now() < due:
                pass
            if self._master >= 0:
                try:
                    os.write(self._master, data)
                except BlockingIOError:
                    log.warning("no client reads %s: %d bytes are lost", self.name, len(data))
            released = True
        return released

    def _client_baud(self) -> int:
        """Return the client's speed, which a pseudo-terminal stores without using it."""
        state = fcntl.ioctl(self._slave, TCGETS2, bytes(TERMIOS2.size))
        return int(TERMIOS2.unpack(state)[-1]) or 9600

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self._plugged_at = None
        self._terminal = os.ttyname(self._slave)
        if self.link is not None:
            _link(self.link, self._terminal)

    def _unplug(self) -> None:
        if self._master < 0:
            return
        if self.link is not None:
            _unlink(self.link, self._terminal)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._replies.clear()
        self.bus.hang_up()


def _link(link: Path, target: str) -> None:
    """Point a symbolic link to the port; replace an existing link, but no other file."""
    if link.exists() and not link.is_symlink():
        raise BadConfig(f"{link} exists and is no symbolic link; give another name for the port")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError as error:
        raise StationFault(f"cannot make the link {link}: {error}; give another name") from error


def _unlink(link: Path, target: str) -> None:
    """Remove the link to a port, unless it points elsewhere."""
    if link.is_symlink() and str(link.readlink()) == target:
        link.unlink()
