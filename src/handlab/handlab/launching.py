"""The graph as launch_ros actions, for `ros2 launch`."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from handlab.graph import GraphConfig, NodeSpec, build_graph
from handlab_core.backend import BACKENDS
from handlab_core.lockstep import PACES
from handlab_core.paths import share
from handlab_core.tasks import Task, make_task
from handlab_sim.urdf import urdf_string

BOOLEAN = ["true", "false"]


def task_launch(task_name: str) -> LaunchDescription:
    """Describe a task's graph and its arguments."""
    task = make_task(task_name)
    arguments = [
        DeclareLaunchArgument("hardware", default_value="mujoco", choices=sorted(BACKENDS),
                              description="What moves the hand."),
        DeclareLaunchArgument("pace", default_value="real", choices=list(PACES),
                              description="real: by the clock; lockstep: a simulation that waits."),
        DeclareLaunchArgument("reward", default_value=task.reward, choices=sorted(task.rewards),
                              description="Variant of the reward."),
        DeclareLaunchArgument("namespace", default_value="",
                              description="Of all nodes; one for each robot."),
        DeclareLaunchArgument("bag", default_value="",
                              description="Folder for recordings; empty: none."),
        DeclareLaunchArgument("learner", default_value="true", choices=BOOLEAN,
                              description="Start the policy learner."),
        DeclareLaunchArgument("viewer", default_value="false", choices=BOOLEAN,
                              description="Serve the browser viewer."),
        DeclareLaunchArgument("rviz", default_value="false", choices=BOOLEAN,
                              description="Start rviz2 and what it needs."),
    ]  # fmt: skip
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes, args=[task])])


def _nodes(context: LaunchContext, task: Task) -> list[LaunchDescriptionEntity]:
    chosen = {
        name: LaunchConfiguration(name).perform(context) for name in context.launch_configurations
    }
    flags = {name: chosen[name] == "true" for name in ("learner", "viewer")}
    texts = {name: chosen[name] for name in ("hardware", "pace", "reward", "bag")}
    config = GraphConfig(task.name, **texts, **flags)
    namespace = chosen["namespace"]
    nodes = [_action(node, namespace) for node in build_graph(config)]
    return nodes + (_rviz(task, namespace) if chosen["rviz"] == "true" else [])


def _action(node: NodeSpec, namespace: str) -> Node:
    """One node; the graph ends with it."""
    kind = LifecycleNode if node.lifecycle else Node
    return kind(
        package=node.package,
        executable=node.executable,
        name=node.name,
        namespace=namespace,
        parameters=[node.parameters],
        output="screen",
        on_exit=[EmitEvent(event=Shutdown(reason=f"{node.name} ended"))],
    )


def _rviz(task: Task, namespace: str) -> list[Node]:
    """rviz2, and a robot_state_publisher for hand and object each."""
    publishers = [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            name=f"{group}_state_publisher",
            namespace=f"{namespace}/{group}",
            parameters=[{"robot_description": text}],
        )
        for group, text in (
            ("hand", urdf_string(task.hand.urdf)),
            ("fixture", urdf_string(task.fixture.urdf, task.fixture.arguments)),
        )
    ]
    config = share() / "config" / "rviz" / "station.rviz"
    rviz = Node(
        package="rviz2", executable="rviz2", namespace=namespace, arguments=["-d", str(config)]
    )
    return [*publishers, rviz]
