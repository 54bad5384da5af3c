"""Dataclasses that check their values: types, bounds and unknown names, by pydantic.

The type of a field defines its allowed values: `rate: Positive`. Constructors,
`dataclasses.replace` and `build` then raise BadConfig with one line that names each wrong field,
its value and the rule. Command-line options, launch arguments and files fill such dataclasses, so
one rule serves all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, wraps
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.dataclasses import rebuild_dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from handlab_core.errors import MOST_SHOWN, BadConfig, HandlabError, UnknownName, shown

T = TypeVar("T")

MOST_NAMED = 6
"""Wrong fields that one message names."""

LONGEST_TEXT = 4000
"""Characters of a text; Linux allows 4095 bytes in a path."""

LARGEST = 10**9
"""Largest number of any field; messages count in 32 bits, and squares stay finite."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("text", "it must be text without control characters")
    return text


def _sign(number: int) -> int:
    if number not in (1, -1):
        raise PydanticCustomError("sign", "it must be 1 or -1")
    return number


Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), Field(max_length=LONGEST_TEXT), AfterValidator(_printable)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, le=LARGEST)]
NotNegative = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=LARGEST)]
Fraction = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=1)]
Name = Annotated[Text, Field(min_length=1)]
Index = Annotated[int, Strict(), Field(ge=0, le=LARGEST)]
"""0 or more."""
Count = Annotated[int, Strict(), Field(ge=1, le=LARGEST)]
"""1 or more."""
Sign = Annotated[int, Strict(), AfterValidator(_sign)]
Seed = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
"""Seed that numpy, torch, cma and messages accept."""


@dataclass(frozen=True, eq=False)  # hashed by identity: `names` may be a dictionary
class OneOf:
    """Restrict a text to known names: `pace: Annotated[Text, OneOf("pace", PACES)]`.

    Another name raises UnknownName, which lists the known ones.
    """

    noun: str
    names: Iterable[str]

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the name after the type."""
        return core_schema.no_info_after_validator_function(self._check, handler(kind))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the names as JSON Schema does."""
        return handler(schema) | {"enum": sorted(self.names)}

    def _check(self, name: str) -> str:
        if name not in self.names:
            raise UnknownName(self.noun, name, self.names)
        return name


CONFIG = ConfigDict(
    extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, defer_build=True
)
"""Validators are built when a class is first used: a node uses few of those that it imports."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def checked(kind: type[T]) -> type[T]:
    """Make a class a frozen dataclass whose constructor raises BadConfig for a wrong value."""
    made: Any = pydantic_dataclass(kind, frozen=True, config=CONFIG)
    construct, names = made.__init__, [f.name for f in fields(made)]

    @wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        _complete(made)
        named = dict(zip(names, args, strict=False))
        if len(args) > len(names) or named.keys() & kwargs.keys():
            raise TypeError(f"{kind.__name__} takes each of {', '.join(names)} once")
        try:
            construct(self, **named, **kwargs)
        except ValidationError as problem:
            raise BadConfig(describe(problem, made)) from None

    made.__init__ = __init__
    checked_kind: type[T] = made
    return checked_kind


def _complete(kind: Any) -> None:
    """Build the validator of a checked class, which replaces its constructor, and keep ours."""
    if isinstance(kind, type) and not vars(kind).get("__pydantic_complete__", True):
        construct = vars(kind)["__init__"]
        rebuild_dataclass(kind)
        kind.__init__ = construct  # type: ignore[misc]  # the constructor of this very class


def build(kind: type[T], given: Any, where: str = "", error: type[HandlabError] = BadConfig) -> T:
    """Make a value of a type from plain data, as a file holds it.

    Args:
        kind: a checked dataclass, a TypedDict or any other type that pydantic knows.
        given: mappings, lists and scalars.
        where: begins the message, as the path of a file.
        error: raised if a value is missing, unknown, of another type or out of bounds.
    """
    prefix, form = f"{where}: " if where else "", cast(Any, kind)
    try:
        value: T = _adapter(form).validate_python(given)
        return value
    except ValidationError as problem:
        raise error(f"{prefix}{describe(problem, kind)}") from None
    except HandlabError as problem:  # of a `__post_init__`
        if not prefix and isinstance(problem, error):
            raise
        raise error(f"{prefix}{problem}") from None


def field_schemas(kind: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON Schema of each field of a checked dataclass, by name.

    It has what the field's type declares: `description`, `minimum`, `exclusiveMinimum`, `maximum`,
    `exclusiveMaximum`, and the known names as `enum` (JSON Schema 2020-12, Validation, section 6).
    """
    return _schemas(kind)


@cache
def _schemas(kind: Any) -> Mapping[str, Mapping[str, Any]]:
    schemas: Mapping[str, Mapping[str, Any]] = _adapter(kind).json_schema().get("properties", {})
    return schemas


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    _complete(kind)
    return TypeAdapter(kind)


def describe(problem: ValidationError, kind: Any) -> str:
    """Return the wrong fields, their values and the rules, on one line."""
    errors = problem.errors(include_url=False, include_context=False)
    lines = [_line(error, kind) for error in errors[:MOST_NAMED]]
    more = len(errors) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")


_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
_MISSING = ("missing", "missing_argument")
_RULES = {
    "bool_type": "true or false",
    "dataclass_type": "keys and values",
    "dict_type": "keys and values",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}


def _line(error: ErrorDetails, kind: Any) -> str:
    names = [_printed(part) for part in error["loc"]]
    name = ".".join(names) or "it"
    if error["type"] in _UNKNOWN:
        known = _known(kind, names[:-1])
        return f"unknown key {name}" + (f"; there is: {', '.join(known)}" if known else "")
    if error["type"] in _MISSING:
        return f"{name} is missing"
    rule = f"it must be {_RULES[error['type']]}" if error["type"] in _RULES else error["msg"]
    rule = re.sub(r"^\w+ should", "it must", rule)
    return f"{name} is {shown(error['input'])}; {rule}"


def _printed(part: int | str) -> str:
    text = str(part)
    return text if text.isprintable() and len(text) <= MOST_SHOWN else shown(text)


def _known(kind: Any, names: list[str]) -> list[str]:
    """Return the field names of the dataclass at a place, if there is one."""
    for name in names:
        kind = _part(kind, name)
    return [f.name for f in fields(kind)] if is_dataclass(kind) else []


def _part(kind: Any, name: str) -> Any:
    """Return the type of a dataclass's field, of a mapping's values or of a list's items."""
    if not is_dataclass(kind):
        return (get_args(kind) or (None,))[-1]
    part = get_type_hints(kind).get(name)
    choices = [choice for choice in get_args(part) if choice is not NoneType]
    return choices[0] if get_origin(part) in (Union, UnionType) else part
