"""Processes of ros2_control beside the graph, as data: manager, controllers, description.

Only where ROS 2 is installed; `handlab.graph.ros_launch` starts them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from handlab_core.hands import Hand
from handlab_core.system.paths import share
from handlab_sim.urdf import urdf_string

ACTIVE = ("joint_state_broadcaster", "forward_position_controller")
INACTIVE = ("joint_trajectory_controller",)
"""Loaded and configured; two controllers cannot have the same joints at once."""

MANAGER_TIMEOUT = 60
"""s that a spawner waits for the manager, which waits for the description."""


@dataclass(frozen=True)
class ForeignNode:
    """One process that is not ours."""

    package: str
    executable: str
    description: str = ""
    """URDF for its parameter robot_description."""
    parameters: Path | None = None
    arguments: tuple[str, ...] = ()
    remappings: dict[str, str] = field(default_factory=dict)
    timed: bool = True
    """Whether it follows the driver's clock where time is simulated."""
    lasting: bool = True
    """The graph ends with it; a spawner ends when its work is done."""


def parameter_file(hand: Hand) -> Path:
    """Return the path of the parameters of a hand's manager and controllers."""
    return share() / "config" / "controllers" / f"{hand.name}.yaml"


def description(hand: Hand, **arguments: str) -> str:
    """Return a hand's URDF with its <ros2_control> system; arguments are those of the xacro."""
    return urdf_string(hand.urdf.replace(".urdf.", ".ros2_control."), arguments)


def control_nodes(hand: Hand, namespace: str) -> list[ForeignNode]:
    """List the processes for one hand whose driver runs in a namespace.

    None is given a name: a name on the command line would be that of every node in the manager's
    process, controllers and hardware too.
    """
    file = parameter_file(hand)
    return [
        ForeignNode(
            "robot_state_publisher",
            "robot_state_publisher",
            description=description(hand, namespace=namespace),
            remappings={"joint_states": "hand/joint_states"},
        ),
        ForeignNode("controller_manager", "ros2_control_node", parameters=file),
        _spawner(ACTIVE, file),
        _spawner(INACTIVE, file, "--inactive"),
    ]


def _spawner(controllers: tuple[str, ...], file: Path, *options: str) -> ForeignNode:
    waiting = ("--controller-manager-timeout", str(MANAGER_TIMEOUT), "--param-file", str(file))
    arguments = (*controllers, *waiting, *options)
    return ForeignNode(
        "controller_manager", "spawner", arguments=arguments, timed=False, lasting=False
    )
