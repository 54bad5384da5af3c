"""Parameters of nodes are refused with one line, as options are."""

from typing import Annotated

import pytest
import rclpy
from pydantic import Field
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_msgs.msg import String
from type_description_interfaces.srv import GetTypeDescription

from handlab_core.errors import BadConfig, HandlabError
from handlab_core.options import PaceOptions
from handlab_core.system.validation import Flag, Positive, Seed, Text, checked
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.parameters import read_params


@checked
class Params(PaceOptions):
    """Every kind of parameter."""

    rate: Annotated[Positive, Field(le=1000, description="Hz; readings")] = 100.0
    seed: Annotated[Seed, Field(description="seed of everything random")] = 0
    viewer: Annotated[Flag, Field(description="show the station")] = False
    task: Annotated[Text, Field(description="name of the task")] = "valve"
    groups: Annotated[tuple[Text, ...], Field(description="groups of joints")] = ("hand",)


@pytest.fixture(scope="module")
def context():
    context = Context()
    rclpy.init(context=context, domain_id=99)
    yield context
    rclpy.shutdown(context=context)


def make_node(context, **given):
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    return rclpy.create_node("asked", context=context, parameter_overrides=overrides)


def read(context, **given):
    node = make_node(context, **given)
    try:
        return read_params(node, Params())
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate": float("nan")}, "parameter rate is nan; it must be "),
        ({"rate": float("-inf")}, "parameter rate is -inf; it must be "),
        ({"rate": 0.0}, "parameter rate is 0.0; it must be greater than 0"),
        ({"rate": 1000.5}, "parameter rate is 1000.5; it must be less than or equal to 1000"),
        ({"seed": -1}, "parameter seed is -1; it must be greater than or equal to 0"),
        ({"rate": "fast"}, "parameter rate: "),
        ({"viewer": 1}, "parameter viewer: "),
        ({"task": 3}, "parameter task: "),
        ({"task": "a\nb"}, "parameter task is "),
        ({"groups": ["a\x00"]}, "parameter groups.0 is "),
        ({"pace": "slow"}, "unknown pace 'slow'; there is: lockstep, real"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_name(context, given, words):
    with pytest.raises(HandlabError) as refusal:
        read(context, **given)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    assert isinstance(refusal.value, BadConfig) or "pace" in given


def test_parameters_that_can_be_are_read(context):
    assert read(context, rate=50.0, seed=3, groups=["hand", "fixture"]) == Params(
        rate=50.0, seed=3, groups=("hand", "fixture")
    )


def test_ros2_param_describe_shows_description_and_range(context):
    """Asked through the service that `ros2 param describe` calls."""
    node, asking = make_node(context), rclpy.create_node("asking", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.add_node(asking)
    try:
        read_params(node, Params())
        client = asking.create_client(DescribeParameters, "/asked/describe_parameters")
        assert client.wait_for_service(5.0)
        names = ["rate", "seed", "groups", "pace"]
        future = client.call_async(DescribeParameters.Request(names=names))
        executor.spin_until_future_complete(future, 5.0)
        rate, seed, groups, pace = future.result().descriptors
    finally:
        executor.shutdown()
        node.destroy_node()
        asking.destroy_node()
    assert rate.description == "Hz; readings" and rate.read_only
    assert [(r.from_value, r.to_value) for r in rate.floating_point_range] == [(0.0, 1000.0)]
    assert rate.additional_constraints == "more than 0"
    assert [(r.from_value, r.to_value) for r in seed.integer_range] == [(0, 2**31 - 1)]
    assert groups.description == "groups of joints"
    assert pace.additional_constraints == "one of: lockstep, real"


@pytest.mark.parametrize("kind", [SetParameters, SetParametersAtomically])
def test_a_parameter_of_an_unknown_type_is_refused_and_the_node_goes_on(kind):
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("asked", context=context)
    request = kind.Request(parameters=[ParameterMsg(name="x", value=ParameterValue(type=255))])
    topic = "asked/set_parameters" + "_atomically" * (kind is SetParametersAtomically)
    try:
        with EventLoop(node, context=context) as loop:
            client = node.create_client(kind, topic)
            for _ in range(2):
                answer = loop.ask(client, request, "an answer")
                [result] = getattr(answer, "results", None) or [answer.result]
                assert not result.successful and "malformed" in result.reason
    finally:
        context.try_shutdown()


def test_a_hash_that_is_none_is_refused_without_a_word_on_the_terminal(capfd):
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("asked", context=context)
    node.create_publisher(String, "text", 1)
    [info] = node.get_publishers_info_by_topic("text")
    try:
        with EventLoop(node, context=context) as loop:
            client = node.create_client(GetTypeDescription, "asked/get_type_description")

            def ask(type_hash):
                request = GetTypeDescription.Request(
                    type_name="std_msgs/msg/String", type_hash=type_hash
                )
                return loop.ask(client, request, "an answer")

            for wrong in ("", "RIHS", "RIHS01_" + "x" * 64, "RIHS01_" + "0" * 3000):
                answer = ask(wrong)
                assert not answer.successful and "malformed" in answer.failure_reason
            assert ask(str(info.topic_type_hash)).successful
    finally:
        context.try_shutdown()
    assert "hash" not in capfd.readouterr().err
