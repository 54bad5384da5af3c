"""OpenGL without a screen: choose a GL backend that works on this machine.

MuJoCo reads the environment variable MUJOCO_GL once, at its import. Its default, GLFW, needs a
screen. Without a screen the first picture fails and the second one aborts Python.
"""

import os
import subprocess
import sys
from functools import cache
from importlib import import_module

from handlab_core.errors import RenderingUnavailable

GL_BACKENDS = ("egl", "osmesa")
"""GL backends that need no screen, best first; values of MUJOCO_GL."""

SWITCHED_OFF = ("disable", "disabled", "off", "false", "0")
UNDECIDED = ("", "enable", "enabled", "on", "true", "1")
NEEDS_SCREEN = ("glfw", "glx")
"""Other values of MUJOCO_GL; mujoco 4.0.0, mujoco/rendering/classic/gl_context.py."""

REMEDY = "Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri"

TIMEOUT = 60.0
"""s; timeout of a trial picture, which takes some seconds under full load; chosen."""


def candidates() -> tuple[str, ...]:
    """Return the values of MUJOCO_GL to try: the user's value, or those that need no screen.

    Raises:
        RenderingUnavailable: the user's value is unknown, or turns drawing off.
    """
    given = os.environ.get("MUJOCO_GL", "").lower().strip()
    if given in UNDECIDED:
        return GL_BACKENDS
    if given in SWITCHED_OFF:
        raise RenderingUnavailable(f"MUJOCO_GL={given} turns drawing off; unset it")
    if given not in (*GL_BACKENDS, *NEEDS_SCREEN):
        allowed = ", ".join((*GL_BACKENDS, *NEEDS_SCREEN))
        raise RenderingUnavailable(f"MUJOCO_GL={given}: not one of {allowed}; unset it")
    return (given,)


@cache
def failure(backend: str) -> str | None:
    """Return the reason why a GL backend cannot draw on this machine, or None if it can.

    Another process draws the trial picture, because a failing backend may abort its process.
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
    """Make `mujoco.Renderer` use a working GL backend, also if mujoco was imported before.

    Child processes inherit the choice in MUJOCO_GL.

    Returns:
        Value of MUJOCO_GL.

    Raises:
        RenderingUnavailable: no backend works; names all attempts, and the packages to install.
    """
    given = candidates()
    # EGL and OSMesa fail with an exception; only backends that need a screen must be tried first.
    trusted = len(given) == 1 and given[0] in GL_BACKENDS
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
    """Replace the context class that mujoco chose at its import."""
    from mujoco.rendering.classic import gl_context

    name = "glfw" if backend in NEEDS_SCREEN else backend
    try:
        gl_context.GLContext = import_module(f"mujoco.{name}").GLContext
    except Exception as error:  # PyOpenGL raises AttributeError where a library is missing
        raise RenderingUnavailable(f"MUJOCO_GL={backend} fails: {error}. {REMEDY}") from error
