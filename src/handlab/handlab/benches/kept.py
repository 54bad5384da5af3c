"""Benches that take hours are measured in parts: what is not chosen is kept from the last time."""

import os
from collections.abc import Collection
from typing import Any

from handlab.benches.result import results
from handlab_core.errors import UnknownName
from handlab_core.system.files import read_json


def chosen(variable: str, known: Collection[str]) -> list[str]:
    """Names in an environment variable, with commas; all that are known, where it is not set.

    Raises:
        UnknownName: one is not known; the message lists what is.
    """
    names = [name for name in os.environ.get(variable, "").split(",") if name] or list(known)
    for name in names:
        if name not in known:
            raise UnknownName(f"name in {variable}", name, known)
    return names


def kept(bench: str, key: str) -> dict[str, Any]:
    """A part of the last result of a bench; empty, if there is none."""
    path = results() / f"{bench}.json"
    part: dict[str, Any] = read_json(path)[key] if path.exists() else {}
    return part
