"""The graph as launch actions; only where launch_ros is installed."""

import importlib

import pytest
import yaml

from handlab_core.tasks import make_task

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
def test_rviz_shows_the_robot_of_its_namespace(namespace):
    """Topics that the publishers of the same launch file have, and frames with their prefix."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    config = yaml.safe_load(launching.rviz_config(namespace).read_text())["Visualization Manager"]
    prefix = f"{namespace}/" if namespace else ""
    assert launching.frame_prefix(namespace) == prefix
    assert config["Global Options"]["Fixed Frame"] == f"{prefix}world"
    models = [d for d in config["Displays"] if d["Class"].endswith("/RobotModel")]
    assert {d.get("TF Prefix", "") for d in models} == {namespace}
    *publishers, rviz = launching._rviz(make_task("valve_foam"), namespace, True, described=False)
    described = {f"{p._Node__node_name.split('_')[0]}/robot_description" for p in publishers}
    assert {d["Description Topic"]["Value"] for d in models} == described
    assert rviz.node_package == "rviz2"


def test_robots_publish_their_frames_with_their_namespaces_prefix():
    """The frames of all joints, so from the topic in which every joint is."""
    launching = importlib.import_module("handlab.graph.ros_launch")
    publishers = launching._rviz(make_task("valve_foam"), "left", True, described=False)[:-1]
    for publisher in publishers:
        remaps = {text(a): text(b) for a, b in publisher._Node__remappings}
        assert remaps == {"/clock": "/left/clock", "joint_states": "/left/joint_states"}
        values = {}
        for given in publisher._Node__parameters:
            values |= {text(key): value for key, value in given.items()}
        assert (
            yaml.safe_load(text(values["frame_prefix"])) == "left/"
            and values["use_sim_time"] is True
        )


def text(substitutions):
    return "".join(part.text for part in substitutions)
