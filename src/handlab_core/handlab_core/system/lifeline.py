"""End a process when the process that supervises it dies, in whatever way that happens.

A supervisor lists its process id in the environment of the processes it starts. Each of them opens
a process descriptor of its supervisors (`pidfd_open(2)`), which the kernel makes readable when that
process ends. Unlike PR_SET_PDEATHSIG (prctl(2)) this does not depend on the thread that started the
child, and works for a supervisor that is not the parent.
"""

import atexit
import contextlib
import faulthandler
import os
import runpy
import select
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import NoReturn

VARIABLE = "HANDLAB_SUPERVISORS"
"""Environment variable: process ids, separated by commas."""

REFUSED = 2
"""Exit code of a node that cannot continue; its last line of output states the reason."""

LAST_MOMENT = 1.5
"""Seconds from a supervisor's death until a process that has not ended is ended by force."""


def supervised(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for processes that must not outlive this process.

    Args:
        environment: of this process; its own supervisors stay supervisors of the new process.
    """
    above = [str(pid) for pid in supervisors(environment)]
    return {**environment, VARIABLE: ",".join([*above, str(os.getpid())])}


def supervisors(environment: Mapping[str, str]) -> list[int]:
    """Return the process ids of the supervisors of a process with this environment."""
    return [int(pid) for pid in environment.get(VARIABLE, "").split(",") if pid]


def end_with_supervisors() -> None:
    """Send SIGTERM to this process when one of its supervisors dies; end it by force after that.

    Does nothing in a process that has no supervisor, and nothing the second time. The force is a C
    thread of `faulthandler`, which needs neither the interpreter nor its lock.
    """
    global _watching
    if _watching:
        return
    _watching = True
    _end_with(supervisors(os.environ))


_watching = False


def end_with_parent(parent: int) -> None:
    """Do as `end_with_supervisors` with the process that started this one.

    A worker of a pool waits for jobs, and does not notice that the pool's process was killed.

    Args:
        parent: process id of the parent.
    """
    if os.getppid() == parent:
        _end_with([parent])
    else:
        _end()


def _end_with(processes: Sequence[int]) -> None:
    """End this process when the first of some processes ends."""
    poll = select.poll()
    for pid in processes:
        try:
            poll.register(os.pidfd_open(pid), select.POLLIN)
        except ProcessLookupError:  # died before this process came so far
            _end()
            return

    def wait() -> None:
        poll.poll()
        _end()

    if processes:
        threading.Thread(target=wait, name="lifeline", daemon=True).start()


def main() -> None:
    """Run the module that the first argument names, watched from before its slow imports."""
    end_with_supervisors()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def leave(code: int) -> NoReturn:
    """End this process with an exit code, without the interpreter's own end.

    That takes up to a second with large libraries, and runs C++ exit handlers, some of which do not
    expect threads that still run. What this process holds must have been released before.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _end() -> None:
    faulthandler.dump_traceback_later(LAST_MOMENT, exit=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from handlab_core.system import lifeline  # the one that the module will import, too

    lifeline.main()
