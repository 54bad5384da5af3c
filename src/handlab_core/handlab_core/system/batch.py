"""Take and put rows of values whose arrays share a leading axis; values may nest."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from handlab_core.types import IntArray

T = TypeVar("T")


def take(value: T, rows: IntArray | Sequence[int]) -> T:
    """Return a copy of some rows of a value."""
    return _each(lambda array: array[rows], value)


def put(value: T, rows: IntArray, new: T) -> T:
    """Return a copy of a value with some rows replaced by those of `new`."""

    def replaced(old: np.ndarray, part: np.ndarray) -> np.ndarray:
        result = old.copy()
        result[rows] = part
        return result

    return _each(replaced, value, new)


def stack(values: Sequence[T]) -> T:
    """Return one value with the rows of all values, in order."""
    return _each(lambda *arrays: np.concatenate(arrays), *values)


def _each(function: Any, first: T, *others: T) -> T:
    parts = {}
    for field in fields(first):  # type: ignore[arg-type]
        own = [getattr(value, field.name) for value in (first, *others)]
        parts[field.name] = _each(function, *own) if is_dataclass(own[0]) else function(*own)
    return type(first)(**parts)
