"""The graph as launch_ros actions, for `ros2 launch`."""

import os
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from handlab.graph import ros_environment
from handlab.graph.calibration import calibration_of
from handlab.graph.config import (
    GraphConfig,
    NodeSpec,
    build_graph,
    on_station,
    station_description,
)
from handlab.graph.launch_arguments import LaunchArgument, launch_arguments
from handlab.graph.options import (
    LOOK,
    REPLAYS,
    SCRIPT,
    TEACHERS,
    LaunchOptions,
    LearningOptions,
    ReplayOptions,
    SceneOptions,
    TeacherOptions,
    ViewerOptions,
)
from handlab.graph.ros2_control import ForeignNode, control_nodes
from handlab_core.options import BagOptions, DriverOptions, StationOptions, taken
from handlab_core.system import death_signal
from handlab_core.system.lifeline import supervised
from handlab_core.system.paths import share
from handlab_core.system.validation import checked
from handlab_core.tasks import TASKS, make_task
from handlab_data.bag_folder import check_bag_folder
from handlab_nodes.messages import topics
from handlab_nodes.messages.scene_messages import frame_prefix
from handlab_sim.urdf import urdf_string

OWN_CLOCK = ("/clock", topics.CLOCK)
"""Remapping to the clock of the robot in the node's namespace."""

STATE_PUBLISHER = "robot_state_publisher"

OBJECT_DESCRIPTION = "fixture/robot_description"
"""Suffix of the scene's topics beside ros2_control, whose publisher describes the hand alone."""

HIDDEN_DESCRIPTION = "_scene/robot_description"
"""Topic of a description that another node publishes already."""


@checked
class TaskLaunch(LaunchOptions, LearningOptions, DriverOptions, StationOptions):
    """Options of a task's launch file."""


@checked
class RecordLaunch(
    LaunchOptions,
    TeacherOptions,
    BagOptions,
    SceneOptions,
    ViewerOptions,
    DriverOptions,
    StationOptions,
):
    """Options of record.launch.py."""


@checked
class ReplayLaunch(
    LaunchOptions, ReplayOptions, SceneOptions, ViewerOptions, DriverOptions, StationOptions
):
    """Options of replay.launch.py."""


def task_launch(task_name: str) -> LaunchDescription:
    """Describe a task's graph and its arguments."""
    task = make_task(task_name)
    arguments = launch_arguments(
        TaskLaunch,
        {"pace": "real", "reward": task.reward},
        {"reward": sorted(task.rewards)},
        without=["task"],
    )
    return _description(arguments, task=task_name)


def record_launch() -> LaunchDescription:
    """Describe the graph that records demonstrations of any task, and its arguments."""
    arguments = launch_arguments(
        RecordLaunch,
        {"pace": "real", "bag": "recordings/bag", "teacher": SCRIPT},
        {"task": sorted(TASKS), "teacher": TEACHERS},
        without=["reward"],
    )
    return _description(arguments, runner=False, learner=False)


def replay_launch() -> LaunchDescription:
    """Describe the graph that replays demonstrations of any task, and its arguments."""
    arguments = launch_arguments(
        ReplayLaunch,
        {"pace": "real", "replay": LOOK},
        {"task": sorted(TASKS), "replay": REPLAYS},
        without=["reward"],
    )
    return _description(arguments, runner=False, learner=False)


def _description(arguments: list[LaunchArgument], **fixed: Any) -> LaunchDescription:
    """Describe the graph of some arguments and of options that have a fixed value."""
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            choices=list(argument.choices) or None,
            description=argument.description,
        )
        for argument in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes, args=[arguments, fixed])])


def _prepare(network: bool) -> None:
    """Set the environment variables that the nodes inherit from this process."""
    if network:
        os.environ[ros_environment.NETWORK] = "1"
    ros_environment.prepare()


def _nodes(
    context: LaunchContext, arguments: list[LaunchArgument], fixed: dict[str, Any]
) -> list[LaunchDescriptionEntity]:
    """Return the actions that start a graph."""
    chosen = {a.name: a.read(LaunchConfiguration(a.name).perform(context)) for a in arguments}
    launch = LaunchOptions(**taken(chosen, LaunchOptions))
    station = StationOptions(**taken(chosen, StationOptions))
    _prepare(launch.network)
    config = with_scene(on_station(GraphConfig(**chosen, **fixed), station), launch.rviz)
    if config.teacher or config.replay:
        config = replace(config, calibration=calibration_of(config))
    if config.bag:
        check_bag_folder(Path(config.bag))
    task, namespace = make_task(config.task), launch.namespace
    nodes = [_action(node, namespace) for node in build_graph(config)]
    # After the driver: controllers start from its first state.
    if config.ros2_control:
        nodes += [
            _foreign_action(node, namespace, config.simulated)
            for node in control_nodes(task.hand, namespace)
        ]
    return nodes + _showing(config, launch)


def _end_with(name: str) -> OpaqueFunction:
    """End the graph when a process ends, unless it is ending already.

    A second Shutdown while launch shuts down is an error there, and its exit code is 1.
    """

    def end(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return [] if context.is_shutdown else [EmitEvent(event=Shutdown(reason=f"{name} ended"))]

    return OpaqueFunction(function=end)


def _action(node: NodeSpec, namespace: str) -> Node:
    """Return the action of one node; the graph ends with it."""
    end = _end_with(node.name)
    if node.parts:
        return Node(
            package=node.package,
            executable=node.executable,
            namespace=namespace,
            arguments=node.names,
            ros_arguments=node.ros_words(),
            output="screen",
            additional_env=supervised({}),
            on_exit=[end],
        )
    kind = LifecycleNode if node.lifecycle else Node
    return kind(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=namespace,
        parameters=[node.parameters],
        remappings=list(node.remappings.items()),
        output="screen",
        additional_env=supervised({}),
        on_exit=[end],
    )


def _foreign_action(node: ForeignNode, namespace: str, simulated: bool) -> Node:
    """Return the action that starts a process of ros2_control."""
    parameters: list[Any] = [node.parameters] if node.parameters else []
    if node.timed:
        parameters.append({"use_sim_time": simulated})
    if node.description:
        parameters += [
            _robot_description(node.description),
            {"frame_prefix": frame_prefix(namespace)},
        ]
    end = _end_with(node.executable)
    return Node(
        package=node.package,
        executable=node.executable,
        namespace=namespace,
        parameters=parameters,
        arguments=list(node.arguments),
        remappings=[*node.remappings.items(), OWN_CLOCK],
        output="screen",
        on_exit=[end] if node.lasting else None,
        **_ended_with_launch(),
    )


def _ended_with_launch() -> dict[str, Any]:
    """Return the arguments of a process of others that ends however launch ends."""
    return {"prefix": death_signal.PREFIX, "additional_env": supervised({})}


def _robot_description(urdf: str) -> dict[str, ParameterValue]:
    """Return a URDF as a parameter; without the type, launch would read it as YAML."""
    return {"robot_description": ParameterValue(urdf, value_type=str)}


def with_scene(config: GraphConfig, rviz: bool) -> GraphConfig:
    """Return a graph with the scene that rviz needs, and with one publisher of frames."""
    return replace(config, scene=config.scene or rviz, frames=not has_state_publisher())


def has_state_publisher() -> bool:
    """Return whether ROS 2's own robot_state_publisher is installed."""
    try:
        get_package_prefix(STATE_PUBLISHER)
    except PackageNotFoundError:
        return False
    return True


def rviz_config(namespace: str, object_apart: bool = False) -> Path:
    """Return the path of rviz's configuration for the robot in a namespace, written if need be.

    Args:
        namespace: of the robot.
        object_apart: the object is not part of `robot_description`: show it by a display of its
            own.
    """
    source = share() / "config" / "rviz" / "station.rviz"
    prefix = frame_prefix(namespace)
    if not prefix and not object_apart:
        return source
    config = yaml.safe_load(source.read_text())
    manager = config["Visualization Manager"]
    manager["Global Options"]["Fixed Frame"] = f"{prefix}world"
    (model,) = (d for d in manager["Displays"] if d["Class"].endswith("/RobotModel"))
    if object_apart:
        copy = deepcopy(model) | {"Name": "Object"}
        copy["Description Topic"]["Value"] = OBJECT_DESCRIPTION
        manager["Displays"].append(copy)
    for display in manager["Displays"]:
        if "Reference Frame" in display:
            display["Reference Frame"] = f"{prefix}world"
        if prefix and display["Class"].endswith("/RobotModel"):
            display["TF Prefix"] = prefix.rstrip("/")  # rviz adds the slash
    folder = Path(tempfile.mkdtemp(prefix="handlab-rviz-"))
    written = folder / source.name
    written.write_text(yaml.safe_dump(config))
    return written


def _showing(config: GraphConfig, launch: LaunchOptions) -> list[Node]:
    """Return the nodes of others that show the station."""
    nodes, namespace = [], launch.namespace
    if config.scene and not config.frames:
        nodes.append(_state_publisher(config, namespace))
    if launch.rviz:
        rviz = rviz_config(namespace, object_apart=config.ros2_control)
        nodes.append(
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                arguments=["-d", str(rviz)],
                parameters=[{"use_sim_time": config.simulated}],
                remappings=[OWN_CLOCK],
                **_ended_with_launch(),
            )
        )
    return nodes


def _state_publisher(config: GraphConfig, namespace: str) -> Node:
    """Return ROS 2's own publisher of the station's frames.

    With ros2_control another one publishes the hand's frames; this one has the object alone.
    """
    fixture = make_task(config.task).fixture
    urdf = station_description(config.task)
    description = HIDDEN_DESCRIPTION  # the driver publishes the same text
    if config.ros2_control:
        urdf = urdf_string(fixture.urdf, fixture.arguments)
        description = OBJECT_DESCRIPTION
    return Node(
        package=STATE_PUBLISHER,
        executable=STATE_PUBLISHER,
        name="scene_state_publisher",
        namespace=namespace,
        parameters=[
            _robot_description(urdf),
            {"use_sim_time": config.simulated, "frame_prefix": frame_prefix(namespace)},
        ],
        remappings=[OWN_CLOCK, (topics.DESCRIPTION, description)],
        **_ended_with_launch(),
    )
