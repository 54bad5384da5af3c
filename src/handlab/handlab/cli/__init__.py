"""The command line: `./handlab VERB`. Each verb is one file of the folders below."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by numpy and torch when they are imported
os.environ["MPLBACKEND"] = "agg"  # figures are files; matplotlib fails at unknown names


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Let Ctrl-C end this process at once, as long as it has nothing to put in order.

    For imports, which take a second. A KeyboardInterrupt in them shows a traceback, or is lost:
    trimesh, which viser imports, catches BaseException around its own imports.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # one that is ignored stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
