"""Handles of viser, whose values go to every open page."""

import re
from typing import Any

from handlab_core.errors import said

MARKS = re.compile(r"([\\`*_{}\[\]<>()#|~&!])")
"""Characters with a meaning in Markdown (CommonMark 0.31, section 2.4) and in its tables."""


def set_if_changed(handle: Any, name: str, value: Any) -> None:
    """Send a value of a handle to the pages if it has changed."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)


def literal(text: str) -> str:
    """Return another program's words as Markdown that shows them as they are.

    viser passes HTML in Markdown on to the page, scripts too.
    """
    return MARKS.sub(r"\\\1", said(text))
