"""Launch arguments from the fields of option classes, as plain data.

`handlab.graph.ros_launch` makes the actions of launch_ros from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from handlab_core.options import command_line
from handlab_core.system.files import parse_yaml
from handlab_core.system.validation import build, field_schemas

BOOLEAN = ("true", "false")


@dataclass(frozen=True)
class LaunchArgument:
    """One argument of a launch file."""

    name: str
    default: str
    choices: tuple[str, ...]
    """Values that are allowed; empty: all."""
    description: str
    kind: Any
    """Type of the value."""

    def read(self, text: str) -> Any:
        """Return the value that a text stands for; BadConfig if the text is no such value."""
        argument = f"the argument {self.name}"
        value = text if self.kind.__origin__ is str else parse_yaml(text, argument)
        return build(self.kind, value, argument)


def launch_arguments(
    kind: type,
    defaults: Mapping[str, Any],
    choices: Mapping[str, Sequence[str]],
    without: Sequence[str] = (),
) -> list[LaunchArgument]:
    """Return one launch argument for each field of an option class.

    Args:
        kind: the option class.
        defaults: other default values, by field.
        choices: other allowed values, by field.
        without: fields that are no arguments.
    """
    schemas, hints = field_schemas(kind), get_type_hints(kind, include_extras=True)
    return [
        _argument(field.name, schemas[field.name], hints[field.name], default, choices)
        for field in fields(kind)
        if field.name not in without and not command_line(hints[field.name]).hidden
        if (default := defaults.get(field.name, field.default)) is not MISSING
    ]


def _argument(
    name: str,
    schema: Mapping[str, Any],
    hint: Any,
    default: Any,
    choices: Mapping[str, Sequence[str]],
) -> LaunchArgument:
    allowed = tuple(choices.get(name, schema.get("enum", ())))
    text = str(default)
    if schema["type"] == "boolean":
        allowed, text = BOOLEAN, text.lower()
    elif schema["type"] == "number":
        text = f"{default:g}"
    return LaunchArgument(name, text, allowed, f"{schema['description']}.", hint)
