"""The graph of a task as data: which nodes there are and how each is set up.

`handlab.graph.ros_launch` turns the list into launch_ros actions, `handlab.graph.processes` into
processes.
"""

import importlib.metadata
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from handlab.graph.options import LOOK, PERSON, SCRIPT, GraphOptions
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.errors import BadConfig
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.hands import Hand
from handlab_core.hardware.backend_table import BackendSpec, PortKind, backend_spec, emulator_spec
from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.objects.fixture import BARE
from handlab_core.options import (
    EMULATED,
    BagOptions,
    DescriptionOptions,
    DriverOptions,
    EstimatorOptions,
    HardwareOptions,
    PaceOptions,
    StationOptions,
    part,
)
from handlab_core.system.validation import Flag, Number, Seed, Text, build, checked
from handlab_core.tasks import make_task
from handlab_hardware.station_file import StationFile, load_station, station_path
from handlab_nodes.messages import topics
from handlab_sim.urdf import station_urdf

COMPOSED = {"camera", "estimator", "reset", "reward", "runner"}
"""Nodes that a container runs beside a simulation's driver."""

WIDTH = 10**9
"""Characters; a parameter on a command line is one line."""

LOCKSTEP_CLOCK_RATE = 10.0
"""Hz of wall time, limit of /clock in lockstep: every message wakes every node, and the clock jumps
by seconds from one to the next at any rate."""

EMULATOR_START = 20.0
"""Seconds that emulated motors, which start beside their driver, have to be there."""


@dataclass(frozen=True)
class NodeSpec:
    """One node process."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    package: str = "handlab_nodes"
    executable: str = ""
    """Console script of the package; empty: the node's name and `_node`."""
    lifecycle: bool = False
    remappings: dict[str, str] = field(default_factory=dict)
    parts: tuple["NodeSpec", ...] = ()
    """Nodes that this process contains; it is then no node itself."""

    def __post_init__(self) -> None:
        """Fill in the executable."""
        if not self.executable:
            object.__setattr__(self, "executable", f"{self.name}_node")

    @property
    def names(self) -> list[str]:
        """Names of the nodes in this process."""
        return [part.name for part in self.parts] or [self.name]

    def ros_words(self) -> list[str]:
        """Return the ROS arguments that set remappings and parameters, of the parts too."""
        words = []
        for node in (self, *self.parts):
            prefix = f"{node.name}:" if self.parts else ""
            for name, other in node.remappings.items():
                words += ["-r", f"{prefix}{name}:={other}"]
            for name, value in node.parameters.items():
                text = yaml.safe_dump(value, default_flow_style=True, width=WIDTH).strip()
                text = text.removesuffix("\n...") if value != "" else "''"
                words += ["-p", f"{prefix}{name}:={text}"]
        return words

    @property
    def module(self) -> str:
        """Python module whose main() runs the node."""
        return _modules(self.package)[self.executable]


@cache
def _modules(package: str) -> dict[str, str]:
    """Return the module of each console script of an installed package."""
    scripts = importlib.metadata.distribution(package).entry_points
    return {script.name: script.module for script in scripts}


@checked
class GraphConfig(GraphOptions):
    """Everything that a graph is built from."""

    frames: Annotated[
        Flag,
        Field(description="Publish /tf by the node `scene`; else robot_state_publisher does"),
    ] = True
    fixture_port: Annotated[
        Text, Field(description="Port of the fixture, if the fixture has a driver of its own")
    ] = ""
    emulate: Annotated[
        Flag, Field(description="Emulate the motors on `port`, with MuJoCo behind them")
    ] = False
    runner: Annotated[
        Flag, Field(description="Start the policy runner; else another node commands the hand")
    ] = True
    teacher_config: Annotated[
        dict[Text, Number], Field(description="Settings of the scripted teacher")
    ] = field(default_factory=dict)
    seed: Annotated[Seed, Field(description="Random seed of the scripted teacher")] = 0
    calibration: Annotated[
        Text, Field(description="Calibration of the station, as text in demonstrations")
    ] = ""

    def __post_init__(self) -> None:
        """Check the task and combinations; types check single options."""
        make_task(self.task).with_reward(self.reward or make_task(self.task).reward)
        backend = self.backend
        if self.pace == "lockstep" and not backend.simulated:
            raise BadConfig(f"hardware {self.hardware} cannot wait; use --pace real")
        if not backend.station_file and (self.station or self.port or self.emulate):
            raise BadConfig(
                f"hardware {self.hardware} has no station file and no port; choose --hardware too"
            )
        if self.emulate and not self.port:
            raise BadConfig("emulated motors need a port: add --port")
        self._check_soft()
        self._check_teacher()
        if self.ros2_control and self.pace != "real":
            raise BadConfig(
                f"ros2_control runs by the clock, not in pace {self.pace}; choose pace real"
            )

    @property
    def backend(self) -> BackendSpec:
        """Return the capabilities of the hardware; UnknownName if there is no such hardware."""
        return backend_spec(self.hardware)

    @property
    def simulated(self) -> bool:
        """Return whether the graph has a clock of its own: a simulation's, or the recorded one."""
        return self.backend.simulated or self.replay == LOOK

    def _check_soft(self) -> None:
        hand = make_task(self.task).hand
        if hand.pneumatics is None:
            return
        if not self.backend.simulated:
            raise BadConfig(
                f"the {hand.name} hand has no driver for hardware {self.hardware}; its valves are "
                "simulated: use --hardware mujoco"
            )
        if self.ros2_control:
            raise BadConfig(
                f"ros2_control has no interface for the pressures of the {hand.name} hand; start "
                "without it"
            )
        if self.teacher == SCRIPT:
            raise BadConfig(f"nothing measures how the {hand.name} hand is led; do without teacher")

    def station_facts(self) -> StationFile:
        """Return the content of the station file; BadConfig if it cannot be used."""
        return load_station(self.station or station_path(make_task(self.task).hand_name))

    def has_fixture_driver(self) -> bool:
        """Return whether the fixture has a driver of its own.

        A station without the fixture's servo has none in tasks that need no object.
        """
        if not self.backend.fixture_backend:
            return False
        needs_object = make_task(self.task).fixture_name != BARE
        return needs_object or self.station_facts().dynamixel is not None

    def _check_teacher(self) -> None:
        if self.teacher == SCRIPT and not self.backend.simulated:
            raise BadConfig("the scripted teacher leads simulated hands; a person leads a real one")
        if self.teacher == PERSON and self.pace == "lockstep":
            raise BadConfig("a person cannot be waited for; use --pace real")
        if (self.teacher or self.replay) and self.ros2_control:
            raise BadConfig("a controller cannot let a hand go: record and replay without it")
        build(TeacherConfig, self.teacher_config, "teacher_config")


def on_machine(
    config: GraphConfig, hardware: str, station: str = "", port: str = ""
) -> GraphConfig:
    """Return the same graph on other hardware; see `on_station`."""
    chosen = StationOptions(
        hardware=hardware, station=station, port=port, estimator=config.estimator
    )
    return on_station(config, chosen)


def on_station(config: GraphConfig, chosen: StationOptions) -> GraphConfig:
    """Return the same graph on another station.

    Args:
        config: graph, in pace real unless the backend is a simulation.
        chosen: the station. The port EMULATED stands for emulated motors on ports of their own.

    Raises:
        HandlabError: the options exclude each other, or the station file cannot be used.
    """
    options = part(chosen, StationOptions)
    port = options.pop("port")
    config = replace(config, **options)
    backend = config.backend
    if not backend.station_file:
        return replace(config, port=port)
    config.station_facts()
    if port != EMULATED:
        return replace(config, port=port)
    emulator_spec(chosen.hardware)
    fixture_port = ""
    if config.has_fixture_driver():
        fixture_port = _own_port(backend_spec(backend.fixture_backend).port)
    return replace(config, port=_own_port(backend.port), fixture_port=fixture_port, emulate=True)


def _own_port(kind: PortKind) -> str:
    """Return a port that no emulator of another process uses."""
    if kind == "can":  # a group address: emulated hands of two processes must not share a bus
        return f"udp_multicast:239.74.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    return f"{tempfile.gettempdir()}/handlab-{os.getuid()}/port-{os.getpid()}"


def system_name(hand: Hand) -> str:
    """Name of a hand's <ros2_control> system, which is that of its plugin's node too."""
    return f"{hand.name}_system"


def build_graph(config: GraphConfig) -> list[NodeSpec]:
    """List the nodes of a task.

    Each node gets those options that its parameters inherit from `handlab_core.options`.
    """
    task, pace = part(config, DescriptionOptions), part(config, PaceOptions)
    driver = part(config, DriverOptions)
    driver["resting_rate"] = min(config.resting_rate, config.rate)
    if config.teacher:  # a hand that is guided is let go, and recorded
        driver["resting_rate"] = config.rate
    if config.pace == "lockstep":
        driver["clock_rate"] = LOCKSTEP_CLOCK_RATE
    if config.emulate:
        driver["start_patience"] = EMULATOR_START
    description = station_description(config.task)
    if not config.ros2_control:  # whose own publisher describes the robot
        driver["robot_description"] = description
    fixture_driver: dict[str, Any] = {}
    if config.has_fixture_driver():
        fixture_driver = driver | {
            "hardware": config.backend.fixture_backend,
            "port": config.fixture_port,
            "groups": [FIXTURE],
            "robot_description": "",
        }
        driver["groups"] = [HAND]
    output: dict[str, Any] = {}
    if not config.runner:
        driver["command_sources"] = [*topics.COMMANDERS, "reset", "learner"]
    if config.ros2_control:
        output = {"command_output": "forward_controller"}
        if config.simulated:  # the manager's loop waits for /clock
            driver["clock_rate"] = driver["resting_rate"] = config.rate
        driver["command_sources"] = ["reset", system_name(make_task(config.task).hand)]
    if config.replay == LOOK:
        return _looking(config, description)
    nodes = [
        NodeSpec("driver", driver, lifecycle=True),
        NodeSpec("estimator", task | pace | part(config, EstimatorOptions)),
        NodeSpec("reward", task | pace),
        NodeSpec("reset", task | pace | output),
    ]
    if fixture_driver:
        nodes.append(
            NodeSpec("fixture_driver", fixture_driver, executable="driver_node", lifecycle=True)
        )
    if ESTIMATORS.make(config.estimator).detection_filter and config.backend.simulated:
        nodes.append(NodeSpec("camera", task | pace))
    if config.emulate:
        ports = part(config, HardwareOptions) | {"fixture_port": config.fixture_port}
        nodes.append(NodeSpec("emulator", task | ports, package="handlab"))
    if config.teacher:
        nodes += _teaching(config)
    if config.replay:
        nodes.append(NodeSpec("replay", task | pace | {"calibration": config.calibration}))
    if config.runner:
        nodes.append(NodeSpec("runner", task | pace | output))
    if config.learner:
        nodes.append(NodeSpec("learner", task | pace | {"record": bool(config.bag)}))
    if config.bag or config.keep_last:
        nodes.append(NodeSpec("recorder", part(config, BagOptions)))
    nodes += _showing(config, description)
    if config.simulated:
        nodes = [_in_simulated_time(node) for node in nodes]
    return _composed(nodes, config.simulated) if config.compose else nodes


def station_description(task_name: str) -> str:
    """Return the URDF of a task's hand and object as one robot, on one line; meshes are URIs."""
    task = make_task(task_name)
    robot = station_urdf(task.hand, task.fixture)
    for mesh in robot.iter("mesh"):
        mesh.set("filename", Path(mesh.get("filename", "")).as_uri())
    return " ".join(ElementTree.tostring(robot, encoding="unicode").split())


def _showing(config: GraphConfig, description: str) -> list[NodeSpec]:
    """List the nodes that only show the station."""
    task, nodes = part(config, DescriptionOptions), []
    if config.scene:
        scene = {"robot_description": description, "frames": config.frames}
        nodes.append(NodeSpec("scene", task | scene))
    if config.viewer:
        nodes.append(NodeSpec("viewer", task, package="handlab", executable="viewer"))
    return nodes


def _in_simulated_time(node: NodeSpec) -> NodeSpec:
    """Return a node that follows the clock of its own namespace."""
    return replace(
        node,
        parameters=node.parameters | {"use_sim_time": True},
        remappings=node.remappings | {"/clock": topics.CLOCK},
    )


def _composed(nodes: list[NodeSpec], simulated: bool) -> list[NodeSpec]:
    """Put the nodes of every step into one process.

    A driver of hardware stays alone: its period must not wait for the interpreter's other threads.
    """
    together = {*COMPOSED, "driver"} if simulated else COMPOSED
    parts = tuple(node for node in nodes if node.name in together)
    container = NodeSpec("container", executable="container", parts=parts)
    return [container, *(node for node in nodes if node not in parts)]


def _teaching(config: GraphConfig) -> list[NodeSpec]:
    """Return the nodes of demonstrations: the demonstrator and the scripted teacher."""
    scripted = config.teacher == SCRIPT
    teacher_config = ", ".join(
        f"{name} {value:g}" for name, value in sorted(config.teacher_config.items())
    )
    task = part(config, DescriptionOptions)
    demonstrator = {
        **task,
        **part(config, PaceOptions),
        "hardware": config.hardware,
        "rate": config.rate,
        "teacher": f"script {teacher_config}".strip() if scripted else PERSON,
        "guided": scripted,
        "record": bool(config.bag),
        "calibration": config.calibration,
    }
    nodes = [NodeSpec("demonstrator", demonstrator)]
    if scripted:
        own = task | {"seed": config.seed}
        nodes.append(NodeSpec("teacher", own | asdict(TeacherConfig(**config.teacher_config))))
    return nodes


def _looking(config: GraphConfig, description: str) -> list[NodeSpec]:
    """List the nodes that show demonstrations without a hand."""
    task = part(config, DescriptionOptions)
    nodes = [
        NodeSpec("replay", task | {"look": True, "robot_description": description}),
        NodeSpec("reward", task | {"pace": "real"}),
        *_showing(config, description),
    ]
    return [_in_simulated_time(node) for node in nodes]
