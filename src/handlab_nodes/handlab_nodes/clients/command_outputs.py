"""Outputs of a policy's targets: to the driver, or through a ros2_control controller."""

from collections.abc import Callable
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Float64MultiArray

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import Hand
from handlab_core.system.validation import OneOf, Text, checked
from handlab_core.types import Array, Command
from handlab_nodes.messages import cdr_codec, qos, topics

JOINT_STATE, FORWARD_CONTROLLER = "joint_state", "forward_controller"


class Output(Protocol):
    """Takes position targets."""

    topic: str

    def heard(self) -> bool:
        """Whether the topic has a subscriber."""
        ...

    def send(self, q: Array, stamp: float, effort: float = np.inf) -> None:
        """Send targets.

        Args:
            q: rad; (1, n), target of each joint.
            stamp: s; time of the state that the targets answer.
            effort: N m; upper limit of every joint's torque. 0 lets the joints go.
        """
        ...


class DriverOutput:
    """Commands with effort limits and a stamp, as the driver reads them."""

    topic = topics.HAND_COMMANDS

    def __init__(self, node: Node, hand: Hand) -> None:
        self._commands, self._full = cdr_codec.Commands(hand.joints), hand.max_effort[None, :]
        self._publisher = node.create_publisher(JointStateMsg, self.topic, qos.COMMAND)

    def heard(self) -> bool:
        """See `Output.heard`."""
        return bool(self._publisher.get_subscription_count())

    def send(self, q: Array, stamp: float, effort: float = np.inf) -> None:
        """See `Output.send`."""
        command = Command(q, np.minimum(self._full, effort))
        self._publisher.publish(self._commands.pack(command, stamp))


class ControllerOutput:
    """Targets in the order of the controller's joints, which is the hand's.

    Such a message has no stamp and no efforts, and the controller repeats it until the next.
    """

    topic = topics.CONTROLLER_COMMANDS

    def __init__(self, node: Node, hand: Hand) -> None:
        self._publisher = node.create_publisher(Float64MultiArray, self.topic, qos.COMMAND)

    def heard(self) -> bool:
        """See `Output.heard`."""
        return bool(self._publisher.get_subscription_count())

    def send(self, q: Array, stamp: float, effort: float = np.inf) -> None:
        """See `Output.send`.

        Raises:
            BadConfig: an effort is given, which a controller does not know.
        """
        if effort != np.inf:
            raise BadConfig("a controller cannot let a hand go: start without ros2_control")
        self._publisher.publish(Float64MultiArray(data=q[0].tolist()))


OUTPUTS: dict[str, Callable[[Node, Hand], Output]] = {
    JOINT_STATE: DriverOutput,
    FORWARD_CONTROLLER: ControllerOutput,
}


@checked
class OutputOptions:
    """The receiver of a node's targets."""

    command_output: Annotated[
        Text,
        OneOf("command_output", OUTPUTS),
        Field(description="Receiver of the targets: the driver, or a controller of ros2_control"),
    ] = JOINT_STATE


def make_output(name: str, node: Node, hand: Hand) -> Output:
    """Build the output called `name`; an unknown name raises UnknownName."""
    if name not in OUTPUTS:
        raise UnknownName("command_output", name, OUTPUTS)
    return OUTPUTS[name](node, hand)
