"""Command-line options from the fields of option classes.

A verb's parameter of such a class stands for one option per field:

    def up(task: TaskName, pace: Annotated[PaceOptions, Default(pace="real")]) -> None: ...

becomes `./handlab up TASK [--pace TEXT]`, and the verb gets the built object.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from handlab.cli.values import option, path_option
from handlab_core.options import command_line
from handlab_core.system.validation import field_schemas


class Default:
    """Other default values of a verb's options, by field."""

    def __init__(self, **values: Any) -> None:
        self.values: Mapping[str, Any] = values


def with_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter of a verb that is an option class by one parameter per field."""
    hints = get_type_hints(verb, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(verb).parameters.values():
        kind, *metadata = _unpacked(hints[parameter.name])
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        defaults: dict[str, Any] = {}
        for mark in metadata:
            defaults |= mark.values if isinstance(mark, Default) else {}
        added = field_parameters(kind, defaults)
        parameters += added
        groups[parameter.name] = kind, [one.name for one in added]

    @wraps(verb)
    def run(**given: Any) -> None:
        built = {
            name: kind(**{field: given.pop(field) for field in names})
            for name, (kind, names) in groups.items()
        }
        verb(**built, **given)

    names = [parameter.name for parameter in parameters]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(f"{verb.__name__} has two options {', '.join(sorted(twice))}")
    ordered = sorted(parameters, key=lambda parameter: parameter.default is not parameter.empty)
    run.__dict__["__signature__"] = inspect.Signature(
        [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in ordered]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    return run


def field_parameters(kind: type, defaults: Mapping[str, Any]) -> list[inspect.Parameter]:
    """Return one parameter for each field of an option class that is not hidden."""
    hints, schemas = get_type_hints(kind, include_extras=True), field_schemas(kind)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(field.name, _default(field)),
            annotation=Annotated[
                _plain_type(hints[field.name]),
                _option(hints[field.name], _help(schemas[field.name])),
            ],
        )
        for field in fields(kind)
        if not command_line(hints[field.name]).hidden
    ]


def option_of(kind: type, name: str, text: str = "") -> Any:
    """Declare the option of one field of an option class.

    Args:
        kind: the option class.
        name: the field.
        text: help; empty: the field's description and its choices.
    """
    hint = get_type_hints(kind, include_extras=True)[name]
    return _option(hint, text or _help(field_schemas(kind)[name]))


def _option(hint: Any, text: str) -> Any:
    """Declare the option of a field of some type."""
    shown = command_line(hint)
    names = (shown.flag,) if shown.flag else ()
    if shown.path:
        return path_option(text, *names)
    item = get_args(_unpacked(hint)[0])
    return option(item[0] if item else hint, text, *names)


def _help(schema: Mapping[str, Any]) -> str:
    """Return a field's description, followed by the known names unless it has them already."""
    text, names = str(schema["description"]), [str(name) for name in schema.get("enum", ())]
    if not names or all(name in text for name in names):
        return text
    return f"{text}: {', '.join(names)}"


def _unpacked(hint: Any) -> tuple[Any, ...]:
    """Return a type and its metadata."""
    return get_args(hint) if get_origin(hint) is Annotated else (hint,)


def _plain_type(hint: Any) -> Any:
    """Return the type that the command-line library converts a word to."""
    kind = _unpacked(hint)[0]
    items = get_args(kind)
    return list[_plain_type(items[0])] if items else kind  # type: ignore[misc]  # a run-time type


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
