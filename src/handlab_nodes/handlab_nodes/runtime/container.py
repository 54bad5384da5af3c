"""Container: several nodes of one robot in one process, as ROS 2 calls it: composition.

Messages between the nodes stay in this process, and one thread calls all nodes in turn. Most of the
time of a step through the graph is spent on threads and processes that wake each other.

Usage: container NAME... --ros-args -p NAME:PARAMETER:=VALUE ...
"""

import sys
from collections.abc import Callable
from importlib import import_module

from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from handlab_core.errors import UnknownName
from handlab_nodes.runtime.event_loop import run

NODES = {
    "camera": "CameraNode",
    "driver": "DriverNode",
    "estimator": "EstimatorNode",
    "reset": "ResetNode",
    "reward": "RewardNode",
    "runner": "RunnerNode",
}
"""Name of each node that can be composed to its class, in the module `<name>_node`."""


def node_class(name: str) -> Callable[[], Node]:
    """Import the class of the node called `name`; UnknownName if it cannot be composed."""
    if name not in NODES:
        raise UnknownName("node", name, NODES)
    made: Callable[[], Node] = getattr(
        import_module(f"handlab_nodes.nodes.{name}_node"), NODES[name]
    )
    return made


def main(args: list[str] | None = None) -> None:
    """Run the nodes that the arguments name."""
    given = sys.argv if args is None else [sys.argv[0], *args]
    run(*(node_class(name) for name in remove_ros_args(given)[1:]), args=given)


if __name__ == "__main__":
    main()
