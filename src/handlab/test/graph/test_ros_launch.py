"""The graph as launch actions; only where launch_ros is installed."""

import importlib

import pytest
import yaml

from handlab.graph.config import GraphConfig, build_graph
from handlab.graph.options import LaunchOptions

for package in ("launch", "launch_ros"):
    pytest.importorskip(package)


def test_a_node_that_ends_ends_the_graph_once():
    """Ctrl-C ends all nodes; a Shutdown for each of them would be an error of launch."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    launch = importlib.import_module("launch")
    context = launch.LaunchContext()
    end = launching._end_with("driver")
    [emitted] = end.visit(context)
    assert isinstance(emitted, launch.actions.EmitEvent)
    context._set_is_shutdown(True)
    assert not end.visit(context)


@pytest.mark.parametrize("namespace", ["", "left"])
@pytest.mark.parametrize("ros2_control", [False, True])
def test_rviz_shows_the_robot_of_its_namespace(namespace, ros2_control):
    """Topics that the nodes of the same launch file have, and frames with their prefix."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    path = launching.rviz_config(namespace, object_apart=ros2_control)
    config = yaml.safe_load(path.read_text())["Visualization Manager"]
    prefix = f"{namespace}/" if namespace else ""
    assert config["Global Options"]["Fixed Frame"] == f"{prefix}world"
    models = [d for d in config["Displays"] if d["Class"].endswith("/RobotModel")]
    assert {d.get("TF Prefix", "") for d in models} == {namespace}
    described = {d["Description Topic"]["Value"] for d in models}
    apart = {"fixture/robot_description"} if ros2_control else set()
    assert described == {"robot_description"} | apart


@pytest.mark.parametrize(
    ("installed", "scene", "rviz", "publishers"),
    [
        (True, True, False, ["scene_state_publisher"]),
        (False, True, False, []),
        (True, False, True, ["scene_state_publisher", "rviz2"]),
        (False, False, True, ["rviz2"]),
        (True, False, False, []),
    ],
)
def test_frames_come_from_one_node(monkeypatch, installed, scene, rviz, publishers):
    """ROS 2's own publisher where it is installed, else the scene."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    monkeypatch.setattr(launching, "has_state_publisher", lambda: installed)
    config = launching.with_scene(GraphConfig("valve_foam", scene=scene), rviz)
    shown = launching._showing(config, LaunchOptions(namespace="left", rviz=rviz))
    assert [node._Node__node_name or node.node_package for node in shown] == publishers
    scenes = [node.parameters for node in build_graph(config) if node.name == "scene"]
    assert len(scenes) == (scene or rviz)
    assert all(parameters["frames"] != installed for parameters in scenes)


@pytest.mark.parametrize("ros2_control", [False, True])
def test_robots_publish_their_frames_with_their_namespaces_prefix(ros2_control):
    """From the topic in which every joint is; the description is published once."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    pace = {"pace": "real"} if ros2_control else {}
    config = GraphConfig("valve_foam", scene=True, frames=False, ros2_control=ros2_control, **pace)
    publisher = launching._state_publisher(config, "left")
    remaps = {text(a): text(b) for a, b in publisher._Node__remappings}
    elsewhere = "fixture/robot_description" if ros2_control else "_scene/robot_description"
    assert remaps == {"/clock": "clock", "robot_description": elsewhere}
    values = {}
    for given in publisher._Node__parameters:
        values |= {text(key): value for key, value in given.items()}
    assert (
        yaml.safe_load(text(values["frame_prefix"])) == "left/" and values["use_sim_time"] is True
    )


def text(substitutions):
    return "".join(part.text for part in substitutions)
