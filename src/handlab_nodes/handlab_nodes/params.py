"""ROS parameters are dataclasses: declared from their fields, read once, then immutable."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node

from handlab_core.errors import BadConfig
from handlab_core.tasks import Task, make_task

T = TypeVar("T")


@dataclass(frozen=True)
class TaskParams:
    """Description of the task; all nodes of a graph are given the same."""

    task: str = "valve"
    reward: str = ""  # variant; empty is the task's own

    def make_task(self) -> Task:
        """Build the task with the chosen reward; UnknownName if there is none of that name."""
        task = make_task(self.task)
        return task.with_reward(self.reward or task.reward)


def read_params(node: Node, defaults: T) -> T:
    """Declare every field of `defaults` as a read-only parameter and return what was chosen.

    Raises:
        BadConfig: a value is of another type, not finite, or negative where a whole number counts.
    """
    chosen: dict[str, Any] = {}
    for field in fields(defaults):  # type: ignore[arg-type]
        descriptor = ParameterDescriptor(read_only=True)
        value = getattr(defaults, field.name)
        try:
            given = node.declare_parameter(field.name, value, descriptor).value
        except InvalidParameterTypeException as error:
            raise BadConfig(f"parameter {field.name}: {error}") from None
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if number and (not math.isfinite(given) or (isinstance(given, int) and given < 0)):
            raise BadConfig(f"parameter {field.name} is {given}; it must be finite, and 0 or more")
        chosen[field.name] = given
    return replace(defaults, **chosen)  # type: ignore[type-var]
