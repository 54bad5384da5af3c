"""Checks of arguments: task, modes, seeds, masks and actions."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike

from handlab.gym.errors import BadArgument, InvalidAction, ResetNeeded
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.types import Array, BoolArray

RENDER_MODES = ["rgb_array"]

RESET_MASK = "reset_mask"
"""The one option of a vector's reset that Gymnasium defines."""


def checked_render_mode(given: str | None) -> str | None:
    """Return a render mode; raise UnknownName for another than RENDER_MODES."""
    if given is not None and given not in RENDER_MODES:
        raise UnknownName("render mode", given, RENDER_MODES)
    return given


def can_draw(render_mode: str | None, begun: bool) -> bool:
    """Return whether `render` draws; without a render mode it does not, and a warning says so.

    Args:
        render_mode: of the environment.
        begun: whether an episode has begun.

    Raises:
        ResetNeeded: no episode has begun.
    """
    if render_mode is None:
        gymnasium.logger.warn('render() draws nothing: make it with render_mode="rgb_array"')
        return False
    if not begun:
        raise ResetNeeded("there is nothing to draw yet; call reset() before render()")
    return True


def checked_autoreset_mode(given: AutoresetMode | str) -> AutoresetMode:
    """Return an autoreset mode by itself, its name or its value; raise UnknownName for another."""
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    raise UnknownName("autoreset mode", str(given), [mode.value for mode in AutoresetMode])


def checked_count(name: str, given: int) -> int:
    """Return a number of things, at least one.

    Raises:
        BadConfig: it is none.
    """
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
        raise BadConfig(f"{name} is a whole number from 1 on; given: {given!r}")
    return int(given)


def check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    """Reject options of a reset that are not known; raise BadArgument."""
    if options is not None and not isinstance(options, dict):
        raise BadArgument(f"options are a dict; given: {type(options).__name__}")
    if unknown := [repr(key) for key in options or {} if key not in known]:
        there = f"there is: {', '.join(known)}" if known else "there are none"
        raise BadArgument(f"unknown option of reset: {', '.join(unknown)}; {there}")


def checked_seeds(seed: int | Sequence[int | None] | None, number: int) -> list[Any]:
    """Return the seed of each robot, None where it has none."""
    if seed is None:
        return [None] * number
    if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str | bytes):
        first = checked_seed(seed)
        return [first + i for i in range(number)]
    if len(seed) != number:
        raise BadArgument(f"a list of seeds has one for each of {number} robots, not {len(seed)}")
    return [None if one is None else checked_seed(one) for one in seed]


def checked_seed(seed: Any) -> int:
    """Return a seed; raise BadArgument for anything but a whole number from 0 on."""
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, Integral) or seed < 0:
        raise BadArgument(f"a seed is a whole number from 0 on; given: {seed!r}")
    return int(seed)


def checked_mask(mask: Any, number: int) -> BoolArray:
    """Return the robots to reset, (N,) bool; raise BadArgument for a mask that cannot be."""
    if mask is None:
        return np.ones(number, dtype=bool)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (number,):
        shape = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask)
        raise BadArgument(f"{RESET_MASK} is a numpy array of bool, ({number},); given: {shape}")
    if not mask.any():
        raise BadArgument(f"{RESET_MASK} names no robot; at least one must be True")
    return mask.copy()


def checked_action(action: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return an action as numbers.

    Raises:
        InvalidAction: it has another shape, or a number that is not finite.
    """
    try:
        given = np.asarray(action)
    except (TypeError, ValueError):  # rows of different lengths
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "biuf":
        raise InvalidAction(f"an action is an array {shape} of numbers; given: {action!r:.80}")
    values = given.astype(np.float64)
    if values.shape != shape:
        raise InvalidAction(f"an action is an array {shape}; given: {values.shape}")
    if not np.isfinite(values).all():
        at = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        raise InvalidAction(f"an action is finite; given: {values[at]} at {list(at)}")
    return values
