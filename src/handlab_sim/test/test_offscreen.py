"""Choice of a GL backend."""

import pytest

from handlab_core.errors import RenderingUnavailable
from handlab_sim.offscreen import GL_BACKENDS, candidates


@pytest.mark.parametrize(
    ("given", "tried"),
    [("", GL_BACKENDS), ("on", GL_BACKENDS), (" EGL ", ("egl",)), ("glfw", ("glfw",))],
)
def test_the_users_choice_comes_first(monkeypatch, given, tried):
    monkeypatch.setenv("MUJOCO_GL", given)
    assert candidates() == tried


@pytest.mark.parametrize(("given", "words"), [("off", "unset it"), ("opengl", "egl, osmesa, glfw")])
def test_a_choice_that_cannot_draw_is_refused_with_the_remedy(monkeypatch, given, words):
    monkeypatch.setenv("MUJOCO_GL", given)
    with pytest.raises(RenderingUnavailable, match=words):
        candidates()
