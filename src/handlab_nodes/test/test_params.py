"""Parameters of nodes are refused with one line, as options are."""

from dataclasses import dataclass

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from handlab_core.errors import BadConfig
from handlab_nodes.params import read_params


@dataclass(frozen=True)
class Params:
    """Every kind of parameter."""

    rate: float = 100.0
    seed: int = 0
    viewer: bool = False
    task: str = "valve"


@pytest.fixture(scope="module")
def context():
    context = Context()
    rclpy.init(context=context, domain_id=99)
    yield context
    rclpy.shutdown(context=context)


def read(context, **given):
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = rclpy.create_node("asked", context=context, parameter_overrides=overrides)
    try:
        return read_params(node, Params())
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate": float("nan")}, "rate is nan; it must be finite"),
        ({"rate": float("-inf")}, "rate is -inf; it must be finite"),
        ({"seed": -1}, "seed is -1; it must be finite, and 0 or more"),
        ({"rate": "fast"}, "parameter rate: "),
        ({"viewer": 1}, "parameter viewer: "),
        ({"task": 3}, "parameter task: "),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_name(context, given, words):
    with pytest.raises(BadConfig) as refusal:
        read(context, **given)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_parameters_that_can_be_are_read(context):
    assert read(context, rate=50.0, seed=3) == Params(50.0, 3)
