"""The graph as launch_ros actions, for `ros2 launch`."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from handlab.graph import ros_environment
from handlab.graph.calibration import calibration_of
from handlab.graph.config import (
    LOOK,
    REPLAYS,
    SCRIPT,
    TEACHERS,
    GraphConfig,
    NodeSpec,
    build_graph,
    on_machine,
)
from handlab.graph.ros2_control import ForeignNode, control_nodes
from handlab_core.estimation.follower import ENCODER, ESTIMATORS
from handlab_core.hardware.backend_table import BACKENDS, DEFAULT
from handlab_core.hardware.lockstep import PACES
from handlab_core.system.files import parse_yaml
from handlab_core.system.lifeline import supervised
from handlab_core.system.paths import share
from handlab_core.system.validation import Number, build
from handlab_core.tasks import TASKS, Task, make_task
from handlab_data.bag_folder import check_bag_folder
from handlab_nodes.messages import topics
from handlab_sim.urdf import urdf_string

BOOLEAN = ["true", "false"]

OWN_CLOCK = ("/clock", topics.CLOCK)
"""Remapping to the clock of the robot in the node's namespace."""


def task_launch(task_name: str) -> LaunchDescription:
    """Describe a task's graph and its arguments."""
    task = make_task(task_name)
    arguments = [
        *_station_arguments(),
        DeclareLaunchArgument("reward", default_value=task.reward, choices=sorted(task.rewards),
                              description="Variant of the reward."),
        DeclareLaunchArgument("bag", default_value="",
                              description="Folder of the recording; replaces a bag; empty: none."),
        DeclareLaunchArgument("learner", default_value="true", choices=BOOLEAN,
                              description="Start the policy learner."),
        DeclareLaunchArgument("compose", default_value="false", choices=BOOLEAN,
                              description="Run the nodes of every step in one process."),
        DeclareLaunchArgument("ros2_control", default_value="false", choices=BOOLEAN,
                              description="Command the hand through its controllers."),
    ]  # fmt: skip
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes, args=[task])])


def record_launch() -> LaunchDescription:
    """Describe the graph that records demonstrations of any task, and its arguments."""
    arguments = [
        DeclareLaunchArgument("task", default_value="valve", choices=sorted(TASKS),
                              description="What is demonstrated."),
        *_station_arguments(),
        DeclareLaunchArgument("bag", default_value="recordings/bag",
                              description="Folder of the recording; a bag is replaced."),
        DeclareLaunchArgument("teacher", default_value=SCRIPT, choices=list(TEACHERS),
                              description="Who guides the hand; the script leads MuJoCo's."),
    ]  # fmt: skip
    return LaunchDescription([*arguments, OpaqueFunction(function=_demonstration_nodes)])


def replay_launch() -> LaunchDescription:
    """Describe the graph that replays demonstrations of any task, and its arguments."""
    arguments = [
        DeclareLaunchArgument("task", default_value="valve", choices=sorted(TASKS),
                              description="What was demonstrated."),
        *_station_arguments(),
        DeclareLaunchArgument("replay", default_value=LOOK, choices=list(REPLAYS),
                              description="look: only show it; hand: have a hand repeat it."),
    ]  # fmt: skip
    return LaunchDescription([*arguments, OpaqueFunction(function=_demonstration_nodes)])


def _station_arguments() -> list[DeclareLaunchArgument]:
    """What every graph is asked."""
    return [
        DeclareLaunchArgument("hardware", default_value=DEFAULT, choices=sorted(BACKENDS),
                              description="What moves the hand."),
        DeclareLaunchArgument("station", default_value="",
                              description="Station file; empty: config/hands/<hand>.yaml."),
        DeclareLaunchArgument("port", default_value="",
                              description="In place of the station file's; emulated: no hand."),
        DeclareLaunchArgument("pace", default_value="real", choices=list(PACES),
                              description="real: by the clock; lockstep: a simulation that waits."),
        DeclareLaunchArgument("rate", default_value=f"{GraphConfig.rate:g}",
                              description="Hz, of the driver's readings, by the clock."),
        DeclareLaunchArgument("estimator", default_value=ENCODER, choices=sorted(ESTIMATORS),
                              description="What follows the object."),
        DeclareLaunchArgument("namespace", default_value="",
                              description="Of all nodes; one for each robot."),
        DeclareLaunchArgument("viewer", default_value="false", choices=BOOLEAN,
                              description="Serve the browser viewer."),
        DeclareLaunchArgument("network", default_value="false", choices=BOOLEAN,
                              description="Let other machines join the graph."),
        DeclareLaunchArgument("rviz", default_value="false", choices=BOOLEAN,
                              description="Start rviz2 and what it needs."),
    ]  # fmt: skip


def _prepare(network: bool) -> None:
    """Set the environment variables that the nodes inherit from this process."""
    if network:
        os.environ[ros_environment.NETWORK] = "1"
    ros_environment.prepare()


def _demonstration_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    chosen = {
        name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations
    }
    _prepare(chosen["network"] == "true")
    names = ("task", "pace", "estimator", "bag", "teacher", "replay")
    texts = {name: chosen[name] for name in names if name in chosen}
    machine = {name: chosen[name] for name in ("hardware", "station", "port")}
    plain = GraphConfig(
        **texts, rate=_number(chosen, "rate"), viewer=chosen["viewer"] == "true", runner=False,
        learner=False,
    )  # fmt: skip
    config = on_machine(plain, **machine)
    config = replace(config, calibration=calibration_of(config))
    if config.bag and config.teacher:
        check_bag_folder(Path(config.bag))
    nodes = [_action(node, chosen["namespace"]) for node in build_graph(config)]
    if chosen["rviz"] == "true":
        nodes += _rviz(
            make_task(config.task), chosen["namespace"], config.simulated, described=False
        )
    return nodes


def _number(chosen: dict[str, str], name: str) -> float:
    """Return a launch argument that is a number; BadConfig if it is none."""
    argument = f"the argument {name}"
    return build(Number, parse_yaml(chosen[name], argument), argument)


def _nodes(context: LaunchContext, task: Task) -> list[LaunchDescriptionEntity]:
    chosen = {
        name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations
    }
    _prepare(chosen["network"] == "true")
    flags = {
        name: chosen[name] == "true" for name in ("learner", "viewer", "compose", "ros2_control")
    }
    texts = {name: chosen[name] for name in ("pace", "reward", "bag", "estimator")}
    machine = {name: chosen[name] for name in ("hardware", "station", "port")}
    config = GraphConfig(task.name, rate=_number(chosen, "rate"), **texts, **flags)
    config = on_machine(config, **machine)
    if config.bag:
        check_bag_folder(Path(config.bag))
    namespace = chosen["namespace"]
    nodes = [_action(node, namespace) for node in build_graph(config)]
    # Behind the driver: what it publishes first is what controllers start from.
    if config.ros2_control:
        nodes += [
            _foreign_action(node, namespace, config.simulated)
            for node in control_nodes(task.hand, namespace)
        ]
    if chosen["rviz"] == "true":
        nodes += _rviz(task, namespace, config.simulated, described=config.ros2_control)
    return nodes


def _end_with(name: str) -> OpaqueFunction:
    """End the graph when a process ends, unless it is ending already.

    A second Shutdown while launch shuts down is an error there, and its exit code is 1.
    """

    def end(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return [] if context.is_shutdown else [EmitEvent(event=Shutdown(reason=f"{name} ended"))]

    return OpaqueFunction(function=end)


def _action(node: NodeSpec, namespace: str) -> Node:
    """One node; the graph ends with it."""
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
    """A process of ros2_control."""
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
    )


def _robot_description(urdf: str) -> dict[str, ParameterValue]:
    """A URDF as a parameter; without the type, launch would read it as YAML."""
    return {"robot_description": ParameterValue(urdf, value_type=str)}


def frame_prefix(namespace: str) -> str:
    """Return the prefix of a robot's frames on /tf, which all robots of a domain share."""
    return f"{namespace.strip('/')}/" if namespace.strip("/") else ""


def rviz_config(namespace: str) -> Path:
    """Return the path of rviz's configuration for the robot in a namespace, written if need be."""
    source = share() / "config" / "rviz" / "station.rviz"
    if not (prefix := frame_prefix(namespace)):
        return source
    config = yaml.safe_load(source.read_text())
    manager = config["Visualization Manager"]
    manager["Global Options"]["Fixed Frame"] = f"{prefix}world"
    for display in manager["Displays"]:
        if "Reference Frame" in display:
            display["Reference Frame"] = f"{prefix}world"
        if display["Class"].endswith("/RobotModel"):
            display["TF Prefix"] = prefix.rstrip("/")  # rviz adds the slash
    folder = Path(tempfile.mkdtemp(prefix="handlab-rviz-"))
    written = folder / source.name
    written.write_text(yaml.safe_dump(config))
    return written


def _rviz(task: Task, namespace: str, simulated: bool, described: bool) -> list[Node]:
    """rviz2, and a robot_state_publisher for hand and object each.

    The hand is left out if it is `described` already, by ros2_control's own.
    """
    texts = {"fixture": urdf_string(task.fixture.urdf, task.fixture.arguments)}
    if not described:
        texts["hand"] = urdf_string(task.hand.urdf)
    publishers = [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            name=f"{group}_state_publisher",
            namespace=f"{namespace}/{group}",
            parameters=[
                _robot_description(text),
                {"use_sim_time": simulated, "frame_prefix": frame_prefix(namespace)},
            ],
            # The station's, in which every joint of hand and object is.
            remappings=[
                ("/clock", f"/{namespace}/clock".replace("//", "/")),
                ("joint_states", f"/{namespace}/joint_states".replace("//", "/")),
            ],
        )
        for group, text in texts.items()
    ]
    config = rviz_config(namespace)
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(config)],
        parameters=[{"use_sim_time": simulated}],
        remappings=[("hand/robot_description", "robot_description"), OWN_CLOCK]
        if described
        else [OWN_CLOCK],
    )
    return [*publishers, rviz]
