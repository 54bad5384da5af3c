"""The files of ros2_control: every hand, every hardware, every name in them."""

import importlib
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
import rclpy
import xacro
import yaml

from handlab.graph.config import GraphConfig, build_graph, system_name
from handlab.graph.ros2_control import ACTIVE, INACTIVE, control_nodes, description, parameter_file
from handlab_core.hands import HANDS, make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.paths import share
from handlab_nodes.messages import topics
from handlab_nodes.nodes.reset_node import ResetParams
from handlab_nodes.nodes.runner_node import RunnerParams
from handlab_sim.scene import SceneConfig, build_spec

PLUGINS = {
    "topic": "joint_state_topic_hardware_interface/JointStateTopicSystem",
    "mock": "mock_components/GenericSystem",
    "mujoco": "mujoco_ros2_control/MujocoSystemInterface",
    "dynamixel": "dynamixel_hardware_interface/DynamixelHardware",
}
HARDWARE = {
    "claw": sorted(PLUGINS),
    "leap": sorted(PLUGINS),
    "allegro": ["mock", "mujoco", "topic"],
}
ALLEGRO = SimpleNamespace(
    name="allegro",
    urdf="allegro/allegro.urdf.xacro",
    joints=tuple(f"{finger}j{i}" for finger in ("ff", "mf", "rf", "th") for i in range(4)),
)
KNOWN = {name: HANDS.make(name) if name in HANDS else ALLEGRO for name in HARDWARE}
DRIVEN = [name for name in sorted(HANDS) if make_hand(name).pneumatics is None]
"""Hands of servos; ros2_control has no interface for pressures."""
EVERY = [(hand, hardware) for hand in HARDWARE for hardware in HARDWARE[hand]]


def system(hand, **arguments):
    """The <ros2_control> element alone, and its hardware parameters."""
    text = description(KNOWN[hand], description="false", **arguments)
    [found] = ElementTree.fromstring(text).findall("ros2_control")
    parameters = {p.get("name"): p.text.strip() for p in found.findall("hardware/param")}
    return found, parameters


def test_every_hand_has_the_files():
    assert set(DRIVEN) <= set(HARDWARE)
    for hand in KNOWN.values():
        assert parameter_file(hand).is_file()


@pytest.mark.parametrize(("hand", "hardware"), EVERY)
def test_every_hardware_has_its_plugin_and_all_joints_the_same_interfaces(hand, hardware):
    found, _ = system(hand, hardware=hardware)
    assert found.get("name") == system_name(KNOWN[hand]) and found.get("type") == "system"
    assert found.findtext("hardware/plugin").strip() == PLUGINS[hardware]
    joints = found.findall("joint")
    assert tuple(joint.get("name") for joint in joints) == KNOWN[hand].joints
    for joint in joints:
        assert [c.get("name") for c in joint.findall("command_interface")] == ["position"]
        states = [s.get("name") for s in joint.findall("state_interface")]
        assert states == ["position", "velocity", "effort"]
        assert not joint.findall("command_interface/param")  # nothing moves before a controller


@pytest.mark.parametrize("hand", DRIVEN)
def test_controllers_begin_with_the_nominal_pose(hand):
    found, _ = system(hand)
    path = "joint/state_interface[@name='position']/param[@name='initial_value']"
    initial = [float(p.text) for p in found.findall(path)]
    np.testing.assert_allclose(initial, KNOWN[hand].nominal, atol=1e-9)


@pytest.mark.parametrize("namespace", ["", "left", "/left", "/lab/left/"])
@pytest.mark.parametrize("hand", HARDWARE)
def test_the_topics_are_the_drivers_and_absolute(hand, namespace):
    _, parameters = system(hand, namespace=namespace)
    robot = "/".join(["", *namespace.strip("/").split("/")]).rstrip("/")
    assert parameters == {
        "joint_states_topic": f"{robot}/{topics.HAND_STATES}",
        "joint_commands_topic": f"{robot}/{topics.HAND_COMMANDS}",
        "trigger_joint_command_threshold": "-1",
        "sum_wrapped_joint_states": "false",
    }


@pytest.mark.parametrize("name", DRIVEN)
def test_the_whole_description_is_the_hands_and_one_system(name):
    hand = HANDS.make(name)
    robot = ElementTree.fromstring(description(hand))
    assert len(robot.findall("ros2_control")) == 1 and len(robot.findall("link")) > hand.n
    moving = [j.get("name") for j in robot.findall("joint") if j.get("type") != "fixed"]
    assert set(moving) == set(hand.joints)


def test_the_vendors_plugin_gets_every_servo_once_in_the_joints_order():
    found, parameters = system("claw", hardware="dynamixel", port="/dev/ttyUSB7")
    servos = found.findall("gpio")
    ids = [int(servo.findtext("param[@name='ID']")) for servo in servos]
    assert [f"{joint}_servo" for joint in KNOWN["claw"].joints] == [s.get("name") for s in servos]
    assert ids == [int(joint[-2:]) for joint in KNOWN["claw"].joints]  # named after their servos
    station = yaml.safe_load((share() / "config" / "hands" / "claw.yaml").read_text())["dynamixel"]
    for joint, servo in zip(KNOWN["claw"].joints, servos, strict=True):
        facts = station["servos"][joint]
        assert int(servo.findtext("param[@name='ID']")) == facts["id"]
        # The servo's angle at the joint's zero, moved to the middle of its turn.
        offset = int(servo.findtext("param[@name='Homing Offset']")) * 2 * np.pi / 4096
        assert facts["zero"] + offset == pytest.approx(np.pi, abs=1e-6)
    assert parameters["port_name"] == "/dev/ttyUSB7"
    assert int(parameters["baud_rate"]) == station["baud"]
    count = str(len(servos))
    assert parameters["number_of_joints"] == parameters["number_of_transmissions"] == count
    assert parameters["dynamixel_model_folder"] == "/param/dxl_model"


def test_mujoco_reads_a_file_or_waits_for_the_topic():
    assert system("claw", hardware="mujoco", mujoco_model="/m.xml")[1] == {
        "mujoco_model": "/m.xml",
        "headless": "true",
    }
    assert "mujoco_model_topic" in system("claw", hardware="mujoco")[1]


def test_our_world_written_as_mjcf_has_an_actuator_for_each_joint():
    """As docs/ros2_control.md says how to get one; the plugin wants a position actuator a joint."""
    hand = make_hand("claw")
    spec = build_spec(hand, FIXTURES.make("valve"), SceneConfig())
    spec.compile()
    model = mujoco.MjModel.from_xml_string(spec.to_xml())
    for joint in hand.joints:
        servo = model.actuator(joint)
        assert servo.trnid[0] == model.joint(joint).id
        assert servo.biastype[0] == mujoco.mjtBias.mjBIAS_AFFINE


@pytest.mark.parametrize(("hand", "hardware"), [("allegro", "dynamixel"), ("claw", "x")])
def test_hardware_that_a_hand_does_not_have_is_refused_with_what_it_has(hand, hardware):
    with pytest.raises(xacro.XacroException, match=f"{hardware}.*topic, mock"):
        system(hand, hardware=hardware)


@pytest.mark.parametrize("hand", HARDWARE)
def test_the_controllers_are_known_and_have_the_hands_joints(hand):
    """Types and parameters as in ros2_controllers, branch jazzy."""
    text = parameter_file(KNOWN[hand]).read_text()
    assert "&" not in text and "*joints" not in text  # rcl reads no aliases
    nodes = {
        name.removeprefix("/**/"): part["ros__parameters"]
        for name, part in yaml.safe_load(text).items()
    }
    assert set(nodes) == {"controller_manager", *ACTIVE, *INACTIVE}
    types = {name: part.get("type") for name, part in nodes.items()}
    assert types == {
        "controller_manager": None,
        "joint_state_broadcaster": "joint_state_broadcaster/JointStateBroadcaster",
        "forward_position_controller": "forward_command_controller/ForwardCommandController",
        "joint_trajectory_controller": "joint_trajectory_controller/JointTrajectoryController",
    }
    assert nodes["controller_manager"] == {"update_rate": 100}
    assert nodes["joint_state_broadcaster"]["use_local_topics"] is True
    for name in ("forward_position_controller", "joint_trajectory_controller"):
        assert tuple(nodes[name]["joints"]) == KNOWN[hand].joints
    assert nodes["forward_position_controller"]["interface_name"] == "position"
    assert nodes["joint_trajectory_controller"]["command_interfaces"] == ["position"]
    assert topics.CONTROLLER_COMMANDS == "forward_position_controller/commands"


@pytest.mark.parametrize("namespace", ["", "left"])
@pytest.mark.parametrize("hand", HARDWARE)
def test_ros_itself_reads_the_parameters_in_any_namespace(hand, namespace):
    context = rclpy.Context()
    arguments = ["--ros-args", "--params-file", str(parameter_file(KNOWN[hand]))]
    rclpy.init(args=arguments, context=context)
    try:
        node = rclpy.create_node(
            "forward_position_controller",
            context=context,
            namespace=namespace,
            automatically_declare_parameters_from_overrides=True,
        )
        assert tuple(node.get_parameter("joints").value) == KNOWN[hand].joints
        node.destroy_node()
    finally:
        context.try_shutdown()


def test_the_graph_with_controllers_differs_where_commands_pass():
    plain = {n.name: n for n in build_graph(GraphConfig(pace="real"))}
    nodes = {n.name: n for n in build_graph(GraphConfig(pace="real", ros2_control=True))}
    changed = {name for name in nodes if nodes[name] != plain[name]}
    assert nodes.keys() == plain.keys() and changed == {"driver", "reset", "runner"}
    assert nodes["driver"].parameters["command_sources"] == ["reset", "claw_system"]
    for params, name in ((RunnerParams, "runner"), (ResetParams, "reset")):
        given = nodes[name].parameters["command_output"]
        assert given == "forward_controller" != params().command_output


def test_what_is_started_beside_the_graph():
    publisher, manager, *spawners = control_nodes(make_hand("claw"), "left")
    assert "/left/hand/joint_states" in publisher.description
    assert publisher.remappings == {"joint_states": "hand/joint_states"}
    assert (manager.package, manager.executable) == ("controller_manager", "ros2_control_node")
    file = parameter_file(make_hand("claw"))
    assert manager.parameters == file and manager.lasting
    for spawner, controllers in zip(spawners, (ACTIVE, INACTIVE), strict=True):
        assert spawner.arguments[: len(controllers)] == controllers and not spawner.lasting
        assert spawner.arguments[spawner.arguments.index("--param-file") + 1] == str(file)
        assert float(spawner.arguments[spawner.arguments.index("--controller-manager-timeout") + 1])
    assert "--inactive" in spawners[1].arguments and "--inactive" not in spawners[0].arguments


def test_every_package_that_is_started_is_a_dependency():
    manifest = (share() / "src" / "handlab_bringup" / "package.xml").read_text()
    depends = {e.text for e in ElementTree.fromstring(manifest).findall("exec_depend")}
    controllers = {"joint_state_broadcaster", "forward_command_controller"}
    plugins = {plugin.split("/")[0] for plugin in PLUGINS.values()} - {"mock_components"}
    # mock_components is in hardware_interface, which comes with controller_manager
    started = {node.package for node in control_nodes(make_hand("claw"), "")}
    assert controllers | {"joint_trajectory_controller"} | plugins | started <= depends


def test_the_launch_description_with_controllers():
    for package in ("launch", "launch_ros"):
        pytest.importorskip(package)
    launching = importlib.import_module("handlab.graph.ros_launch")
    context = importlib.import_module("launch").LaunchContext()
    context.launch_configurations.update({"ros2_control": "true", "namespace": "left"})
    built = launching.task_launch("valve")
    for entity in built.entities[:-1]:
        entity.visit(context)
    started = [(a.node_package, a.node_executable) for a in built.entities[-1].visit(context)]
    graph = build_graph(GraphConfig(pace="real", ros2_control=True))
    beside = control_nodes(make_hand("claw"), "left")
    assert started == [(n.package, n.executable) for n in (*graph, *beside)]
