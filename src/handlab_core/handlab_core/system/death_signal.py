"""Run a program of others that ends with its parent.

`python -m handlab_core.system.death_signal PROGRAM...` becomes the program. The kernel sends it
SIGTERM when the thread that started it ends (PR_SET_PDEATHSIG, prctl(2)), also by SIGKILL; launch
starts processes from its main thread. Nodes of our own use `handlab_core.system.lifeline` instead,
which needs Python.
"""

import ctypes
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence

from handlab_core.system.lifeline import supervisors

PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""

PREFIX = shlex.join([sys.executable, "-m", __name__])
"""Words before a program, as launch takes them."""


def main(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become a program.

    Args:
        words: the program and its arguments.
        environment: of this process; the last supervisor that it names is the parent.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    above = supervisors(environment)
    if above and os.getppid() != above[-1]:
        return  # the parent has ended meanwhile
    os.execvp(words[0], list(words))


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
