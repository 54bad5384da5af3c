"""ROS parameters are dataclasses: declared from their fields, read once, then immutable."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

T = TypeVar("T")


def read_params(node: Node, defaults: T) -> T:
    """Declare every field of `defaults` as a read-only parameter and return what was chosen."""
    chosen: dict[str, Any] = {}
    for field in fields(defaults):  # type: ignore[arg-type]
        descriptor = ParameterDescriptor(read_only=True)
        value = getattr(defaults, field.name)
        chosen[field.name] = node.declare_parameter(field.name, value, descriptor).value
    return replace(defaults, **chosen)  # type: ignore[type-var]
