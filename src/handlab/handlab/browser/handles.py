"""Handles of viser, whose values go to every open page."""

from typing import Any


def set_if_changed(handle: Any, name: str, value: Any) -> None:
    """Send a value of a handle to the pages if it has changed."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)
