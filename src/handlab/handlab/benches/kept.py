"""Benches that take hours are measured in parts: the last result keeps the other parts."""

from collections.abc import Collection
from typing import Any

from handlab.benches.result import results
from handlab_core.errors import UnknownName
from handlab_core.system.files import read_json


def chosen(option: str, text: str, known: Collection[str]) -> list[str]:
    """Return the names in the text of an option, separated by commas; empty: all known names.

    Raises:
        UnknownName: a name is not known; the message lists all known names.
    """
    names = text.split(",") if text else list(known)
    for name in names:
        if name not in known:
            raise UnknownName(f"name in --{option}", name, known)
    return names


def kept(bench: str, key: str) -> dict[str, Any]:
    """Return a part of the last result of a bench; empty if that does not have it."""
    path = results() / f"{bench}.json"
    part: dict[str, Any] = read_json(path).get(key, {}) if path.exists() else {}
    return part
