"""One ROS domain for each graph of this machine, so that two at once do not hear each other."""

import os
from contextlib import suppress

from handlab.graph import ros_environment
from handlab_core.errors import BadConfig, CannotWrite
from handlab_core.system import domain_locks


class Domain:
    """The domain the user has chosen (ROS_DOMAIN_ID), else the first that no other handlab uses.

    The processes of this one's graph inherit the checked variables of `ros_environment`.

    Raises:
        BadConfig: all are taken, or a variable of the shell is in the way.
        CannotWrite: the locks cannot be written, and no domain is chosen.
    """

    def __init__(self) -> None:
        ros_environment.prepare()
        self._lock: int | None = None
        if chosen := os.environ.get("ROS_DOMAIN_ID"):
            self.id = int(chosen)
            with suppress(CannotWrite):  # a graph that is given its domain needs no lock
                self._lock = domain_locks.take(self.id)
            if self._lock is None:
                self._lock = domain_locks.share(self.id)
            return
        for domain in ros_environment.SAFE_DOMAINS:
            if (lock := domain_locks.take(domain)) is not None:
                self._lock, self.id = lock, domain
                return
        raise BadConfig("all ROS domains are taken by running graphs; end one or set ROS_DOMAIN_ID")

    @property
    def held(self) -> tuple[int, ...]:
        """File descriptors that keep the domain taken; a child that inherits them keeps it too."""
        return () if self._lock is None else (self._lock,)

    def release(self) -> None:
        """Let another graph have it; twice is harmless. The end of the process does it too."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
