"""ROS parameters are dataclasses: declared from their fields, read once, then immutable.

A field's type says everything about the parameter, with pydantic's own means:
`rate: Annotated[Positive, Field(le=1000, description="Hz; readings in real pace")] = 100.0`.
Its description and range are what `ros2 param describe` shows, and the same type checks the value.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from type_description_interfaces.srv import GetTypeDescription

from handlab_core.errors import BadConfig
from handlab_core.options import DescriptionOptions
from handlab_core.system.validation import checked, field_schemas
from handlab_core.tasks import Task, make_task

T = TypeVar("T")

TYPE_HASH = re.compile(r"RIHS01_[0-9a-f]{64}")
"""Text of a type's hash; REP 2016."""


@checked
class TaskParams(DescriptionOptions):
    """Description of the task; all nodes of a graph are given the same."""

    def make_task(self) -> Task:
        """Build the task with the chosen reward; UnknownName if there is none of that name."""
        task = make_task(self.task)
        return task.with_reward(self.reward or task.reward)


def descriptor(schema: Mapping[str, Any]) -> ParameterDescriptor:
    """Return the ROS description of a parameter from the JSON Schema of its field.

    A ROS range has both ends and includes them. An end that a field leaves out is the largest
    number of the type; one that it excludes is named in `additional_constraints`.
    """
    rules = []
    if "enum" in schema:
        rules.append(f"one of: {', '.join(schema['enum'])}")
    if "enum" in (items := schema.get("items", {})):
        rules.append(f"each one of: {', '.join(items['enum'])}")
    for key, words in (("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than")):
        if key in schema:
            rules.append(f"{words} {schema[key]:g}")
    described = ParameterDescriptor(
        description=schema["description"], additional_constraints="; ".join(rules), read_only=True
    )
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if schema.get("type") == "integer":
        described.integer_range = [
            IntegerRange(from_value=-(2**63) if low is None else low,
                         to_value=2**63 - 1 if high is None else high)
        ]  # fmt: skip
    if schema.get("type") == "number":
        described.floating_point_range = [
            FloatingPointRange(from_value=-math.inf if low is None else float(low),
                               to_value=math.inf if high is None else float(high))
        ]  # fmt: skip
    return described


def read_params(node: Node, defaults: T) -> T:
    """Declare every field of `defaults` as a read-only parameter and return the chosen values.

    Args:
        node: owner of the parameters.
        defaults: a checked dataclass; each field has a description.

    Raises:
        BadConfig: a value is of another type than its field, or out of the field's range.
        UnknownName: a name is not among those of the field.
    """
    schemas, chosen = field_schemas(type(defaults)), {}
    for field in fields(defaults):  # type: ignore[arg-type]
        name, value = field.name, getattr(defaults, field.name)
        try:
            given = node.declare_parameter(name, value).value
        except InvalidParameterTypeException as error:
            raise BadConfig(f"parameter {name}: {error}") from None
        chosen[name] = tuple(given) if isinstance(value, tuple) else given
    try:
        params = replace(defaults, **chosen)  # type: ignore[type-var]
    except BadConfig as error:
        raise BadConfig(f"parameter {error}") from None
    for name in chosen:  # after our own check, whose messages are clearer than rclpy's
        described = descriptor(schemas[name])
        described.type = node.describe_parameter(name).type
        node.set_descriptor(name, described)
    return params


def refuse_malformed(node: Node) -> None:
    """Answer requests that rclpy and rcl make errors of.

    A parameter of an unknown type would end the node; a hash that is none makes rcl write many
    lines to the standard error, now and at each later error.
    """
    for service in node.services:
        if service.srv_type in (SetParameters, SetParametersAtomically):
            service.callback = _refusing(service.callback)
        elif service.srv_type is GetTypeDescription:
            service.callback = _checking(service.callback)


def _checking(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checking(request: Any, response: Any) -> Any:
        if TYPE_HASH.fullmatch(request.type_hash):
            return answer(request, response)
        response.failure_reason = "malformed: a type's hash is RIHS01_ and 64 hexadecimal digits"
        return response

    return checking


def _refusing(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def refusing(request: Any, response: Any) -> Any:
        try:
            return answer(request, response)
        except (AssertionError, TypeError, ValueError) as error:
            refused = SetParametersResult(successful=False, reason=f"malformed: {error}")
            if isinstance(request, SetParametersAtomically.Request):
                response.result = refused
            else:
                response.results = [refused] * len(request.parameters)
            return response

    return refusing
