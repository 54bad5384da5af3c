"""Command-line options, checked by the types of `handlab_core.system.validation`.

Configurations, files and node parameters use the same types, so a value is refused for the same
reason wherever it comes from.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import AfterValidator, Field

from handlab_core.errors import BadConfig, HandlabError, UnknownName, shown
from handlab_core.system.validation import Count, Number, Text, build
from handlab_core.worlds.levels import FITTED

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes; limits of one part of a path and of a whole path; Linux, limits.h."""

Worlds = Annotated[Count, Field(le=4096)]
"""Number of simulated robots; each takes about 1 MB."""

DEFAULT_WORLDS = 20


def _worlds(text: str) -> str:
    if text != FITTED:
        build(Worlds, int(text) if text.isdecimal() and len(text) < 10 else text)
    return text


SimulatedWorlds = Annotated[Text, AfterValidator(_worlds)]
"""Number of simulated robots, or `fitted`."""

Episodes = Annotated[Count, Field(le=100_000)]

Points = Annotated[Count, Field(ge=2, le=1000)]

Torque = Annotated[Number, Field(ge=0, le=10)]
"""N m; the limit is above the stall torque of every servo that is known here."""


def option(kind: Any, text: str = "", *names: str) -> Any:
    """Declare an option whose value, or each of whose values, must be of a type."""
    return typer.Option(*names, help=text, callback=_check(kind))


def given(context: typer.Context, parameter: str) -> bool:
    """Return whether the user named an option of a verb."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def argument(kind: Any, text: str = "") -> Any:
    """Declare an argument whose value, or each of whose values, must be of a type."""
    return typer.Argument(help=text, callback=_check(kind))


def path_option(text: str = "", *names: str) -> Any:
    """Declare an option that names a file or a folder; `~` is the home."""
    return typer.Option(*names, help=text, callback=_each(checked_path))


def path_argument(text: str = "") -> Any:
    """Declare an argument that names a file or a folder; `~` is the home."""
    return typer.Argument(help=text, callback=_each(checked_path))


def checked_path(given: str | Path) -> str | Path:
    """Return a path of the given type, with `~` replaced by the home.

    Raises:
        typer.BadParameter: no file system here has such a path.
    """
    text = str(given)
    try:
        build(Text, text)
        expanded = str(Path(text).expanduser()) if text.startswith("~") else text
    except BadConfig as error:
        raise typer.BadParameter(str(error)) from None
    except RuntimeError:
        user = Path(text).parts[0]
        raise typer.BadParameter(f"there is no home of {shown(user)}") from None
    parts = [len(os.fsencode(part)) for part in Path(expanded).parts]
    if len(os.fsencode(expanded)) > LONGEST_PATH or max(parts, default=0) > LONGEST_NAME:
        raise typer.BadParameter(
            f"{shown(text)} is too long; a path can have {LONGEST_PATH} bytes, and {LONGEST_NAME} "
            "between two slashes"
        )
    return Path(expanded) if isinstance(given, Path) else expanded


def _check(kind: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return build(kind, value, error=HandlabError)
        except UnknownName:  # names the option itself
            raise
        except HandlabError as error:
            raise typer.BadParameter(str(error)) from None

    return _each(check)


def _each(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply a check to a value or to each value of a list; let a missing value pass."""

    def callback(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [check(part) for part in value]
        return value if value is None else check(value)

    return callback
