"""The command line: `./handlab VERB`. Each verb is one file of the folders below."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by numpy and torch when they are imported
os.environ["MPLBACKEND"] = "agg"  # figures are files; matplotlib fails at unknown names


def _name_glfw() -> None:
    """Name the library of glfw, which mujoco imports, in the environment.

    Otherwise glfw starts a second Python to find it, which takes 0.2 s and loses Ctrl-C.
    """
    spec = find_spec("glfw")
    if spec is None or spec.origin is None or "PYGLFW_LIBRARY_VARIANT" in os.environ:
        return
    variant = "wayland" if os.environ.get("XDG_SESSION_TYPE") == "wayland" else "x11"
    library = Path(spec.origin).parent / variant / "libglfw.so"
    if library.exists():
        os.environ.setdefault("PYGLFW_LIBRARY", str(library))


_name_glfw()


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
