"""OpenGL without a screen: choose a way to draw that works on this machine.

MuJoCo reads the environment variable MUJOCO_GL once, when it is imported. Its default, GLFW, needs
a screen; without one the first picture fails and the second aborts Python.
"""

import os
import subprocess
import sys
from functools import cache
from importlib import import_module

from handlab_core.errors import RenderingUnavailable

BACKENDS = ("egl", "osmesa")
"""Ways to draw without a screen, best first; values of MUJOCO_GL."""

SWITCHED_OFF = ("disable", "disabled", "off", "false", "0")
UNDECIDED = ("", "enable", "enabled", "on", "true", "1")
NEEDS_SCREEN = ("glfw", "glx")
"""Further values of MUJOCO_GL; mujoco 4.0.0, mujoco/rendering/classic/gl_context.py."""

REMEDY = "Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri"

TIMEOUT = 60.0
"""s; limit of one trial picture. A machine under full load takes some seconds."""


def candidates() -> tuple[str, ...]:
    """Return the values of MUJOCO_GL to try: the user's, else those that need no screen.

    Raises:
        RenderingUnavailable: the user's value is unknown, or turns drawing off.
    """
    given = os.environ.get("MUJOCO_GL", "").lower().strip()
    if given in UNDECIDED:
        return BACKENDS
    if given in SWITCHED_OFF:
        raise RenderingUnavailable(f"MUJOCO_GL={given} turns drawing off; unset it")
    if given not in (*BACKENDS, *NEEDS_SCREEN):
        allowed = ", ".join((*BACKENDS, *NEEDS_SCREEN))
        raise RenderingUnavailable(f"MUJOCO_GL={given}: not one of {allowed}; unset it")
    return (given,)


@cache
def failure(backend: str) -> str | None:
    """Return why a backend cannot draw here, or None if it can.

    The trial picture is drawn by another process, because a backend that fails may abort it.
    """
    script = (
        "import mujoco\nmodel = mujoco.MjModel.from_xml_string('<mujoco/>')\n"
        "mujoco.Renderer(model, 8, 8).render()"
    )
    environment = {**os.environ, "MUJOCO_GL": backend}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"{backend}: took over {TIMEOUT:.0f} s"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"{backend}: {last}"


@cache
def use_working_backend() -> str:
    """Have `mujoco.Renderer` draw in a way that works here, whenever mujoco was imported.

    Child processes inherit the choice in MUJOCO_GL.

    Returns:
        The value of MUJOCO_GL.

    Raises:
        RenderingUnavailable: nothing works; names what was tried and what to install.
    """
    given = candidates()
    # A failure of EGL or OSMesa raises an error; only what needs a screen must be tried first.
    trusted = len(given) == 1 and given[0] in BACKENDS
    reasons = []
    for backend in given:
        reason = None if trusted else failure(backend)
        if reason is None:
            _install(backend)
            os.environ["MUJOCO_GL"] = backend
            return backend
        reasons.append(reason)
    raise RenderingUnavailable(f"no picture can be drawn ({'; '.join(reasons)}). {REMEDY}")


def _install(backend: str) -> None:
    """Replace the class of contexts that mujoco chose when it was imported."""
    from mujoco.rendering.classic import gl_context

    name = "glfw" if backend in NEEDS_SCREEN else backend
    try:
        gl_context.GLContext = import_module(f"mujoco.{name}").GLContext
    except Exception as error:  # PyOpenGL raises AttributeError where a library is missing
        raise RenderingUnavailable(f"MUJOCO_GL={backend} fails: {error}. {REMEDY}") from error
