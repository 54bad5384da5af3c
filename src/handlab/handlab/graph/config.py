"""The graph of a task as data: which nodes there are and how each is set up.

`handlab.graph.ros_launch` turns the list into launch_ros actions, `handlab.graph.processes` into
processes.
"""

import importlib.metadata
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.estimation.follower import ENCODER, ESTIMATORS, check_estimator
from handlab_core.hands import Hand
from handlab_core.hardware.backend_table import (
    DEFAULT,
    BackendSpec,
    PortKind,
    backend_spec,
    emulator_spec,
)
from handlab_core.hardware.lockstep import FIXTURE, HAND, PACES
from handlab_core.system.validation import Flag, Number, Positive, Seed, Text, build, checked
from handlab_core.tasks import make_task
from handlab_hardware.station_file import load_station, station_path
from handlab_nodes.messages import topics
from handlab_sim.urdf import station_urdf

PERSON, SCRIPT = "person", "script"
TEACHERS = (PERSON, SCRIPT)
"""Who may guide a hand."""

LOOK, ON_HAND = "look", "hand"
REPLAYS = (LOOK, ON_HAND)
"""How demonstrations are replayed."""

EMULATED = "emulated"
"""Name of the port that stands for motors that are emulated."""


COMPOSED = {"camera", "estimator", "reset", "reward", "runner"}
"""Nodes that a container runs beside a simulation's driver."""

WIDTH = 10**9
"""Characters; a parameter on a command line is one line."""

FASTEST = 1000.0
"""Hz, of a driver. No bus of nine servos is much faster, and no loop in Python keeps it."""

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
        scripts = importlib.metadata.distribution(self.package).entry_points
        return scripts[self.executable].module


@checked
class GraphConfig:
    """What a graph is made for."""

    task: Text = "valve"
    hardware: Text = DEFAULT
    pace: Text = "lockstep"
    station: Text = ""
    """Path of the station file, for hardware; empty: the one that comes with handlab."""
    port: Text = ""
    """In the place of the station file's; empty: that one."""
    fixture_port: Text = ""
    """The same for the fixture, where it has a driver of its own."""
    emulate: Flag = False
    """Emulate the motors on `port`, with MuJoCo behind them."""
    reward: Text = ""
    """Reward variant; empty is the task's own."""
    bag: Text = ""
    """Folder for recordings; empty: no recorder."""
    runner: Flag = True
    """Without it, somebody else commands the hand: a Gymnasium environment, for example."""
    learner: Flag = True
    viewer: Flag = False
    rate: Annotated[Positive, Field(le=FASTEST)] = 100.0
    """Hz, of the driver in real pace."""
    resting_rate: Annotated[Positive, Field(le=FASTEST)] = 20.0
    """Hz, of the driver in real pace while nothing is commanded."""
    estimator: Text = ENCODER
    """Estimator of the object: `encoder` or `camera`. A simulated backend comes with a simulated
    camera; on hardware a detector is started beside the graph."""
    teacher: Text = ""
    """Who demonstrates: `person` or `script`; empty: nobody, and no demonstrator."""
    replay: Text = ""
    """Demonstrations are repeated: `hand`, or `look`: only shown; empty: neither."""
    teacher_config: dict[Text, Number] = field(default_factory=dict)
    """Fields of the scripted teacher's `TeacherConfig`."""
    seed: Seed = 0
    """Of the scripted teacher's trembling and failures."""
    calibration: Text = ""
    """Of the station, as text; kept with demonstrations."""
    compose: Flag = False
    """Run the nodes of every step in one process."""
    ros2_control: Flag = False
    """Commands go through a controller; `handlab.graph.ros2_control` lists what starts with it."""

    def __post_init__(self) -> None:
        """Check names, and that only a simulation is asked to wait."""
        make_task(self.task).with_reward(self.reward or make_task(self.task).reward)
        backend = self.backend
        if self.pace not in PACES:
            raise UnknownName("pace", self.pace, PACES)
        check_estimator(self.estimator)
        if self.pace == "lockstep" and not backend.simulated:
            raise BadConfig(f"hardware {self.hardware} cannot wait; use --pace real")
        if not backend.station_file and (self.station or self.port or self.emulate):
            raise BadConfig(
                f"hardware {self.hardware} has no station file and no port; choose --hardware too"
            )
        if self.emulate and not self.port:
            raise BadConfig("what is emulated needs a port to be found at")
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
        """Return whether a simulation owns the time; not so where motions are only shown."""
        return self.backend.simulated and self.replay != LOOK

    def _check_teacher(self) -> None:
        if self.replay not in ("", *REPLAYS):
            raise UnknownName("replay", self.replay, REPLAYS)
        if self.teacher not in ("", *TEACHERS):
            raise UnknownName("teacher", self.teacher, TEACHERS)
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
    """The same graph on other hardware, which must run in real pace.

    Args:
        config: for MuJoCo.
        hardware: name in `handlab_core.hardware.backend.BACKENDS`.
        station: path of the station file; empty: the one that comes with handlab.
        port: in the place of the station file's; EMULATED: emulated motors on ports of their own.
    """
    config = replace(config, hardware=hardware, station=station)
    backend = config.backend
    if not backend.station_file:
        return replace(config, port=port)
    load_station(Path(station or station_path(make_task(config.task).hand_name)))
    if port != EMULATED:
        return replace(config, port=port)
    emulator_spec(hardware)
    fixture_port = ""
    if backend.fixture_backend:
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


def _description(config: GraphConfig) -> dict[str, Any]:
    """Return the parameters that describe the task, the same for all nodes of a graph."""
    return {"task": config.task, "reward": config.reward}


def build_graph(config: GraphConfig) -> list[NodeSpec]:
    """List the nodes of a task; all are given the same description of it."""
    task = _description(config)
    pace = {"pace": config.pace}
    machine = {"station": config.station, "port": config.port}
    driver = task | pace | machine | {"hardware": config.hardware, "rate": config.rate}
    driver["resting_rate"] = min(config.resting_rate, config.rate)
    if config.emulate:
        driver["start_patience"] = EMULATOR_START
    if not config.ros2_control:  # whose own publisher describes the robot
        hand, fixture = make_task(config.task).hand, make_task(config.task).fixture
        urdf = ElementTree.tostring(station_urdf(hand, fixture), encoding="unicode")
        driver["robot_description"] = " ".join(urdf.split())
    fixture_driver: dict[str, Any] = {}
    if config.backend.fixture_backend:
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
        return _looking(config)
    nodes = [
        NodeSpec("driver", driver, lifecycle=True),
        NodeSpec("estimator", task | pace | {"estimator": config.estimator}),
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
        ports = machine | {"fixture_port": config.fixture_port, "hardware": config.hardware}
        nodes.append(NodeSpec("emulator", task | ports, package="handlab"))
    if config.teacher:
        nodes += _teaching(config)
    if config.replay:
        nodes.append(NodeSpec("replay", task | pace | {"calibration": config.calibration}))
    if config.runner:
        nodes.append(NodeSpec("runner", task | pace | output))
    if config.learner:
        nodes.append(NodeSpec("learner", task | {"record": bool(config.bag)}))
    if config.bag:
        nodes.append(NodeSpec("recorder", {"bag": config.bag}))
    if config.viewer:
        nodes.append(NodeSpec("viewer", task, package="handlab", executable="viewer"))
    if config.simulated:
        nodes = [_in_simulated_time(node) for node in nodes]
    return _composed(nodes, config.simulated) if config.compose else nodes


def _in_simulated_time(node: NodeSpec) -> NodeSpec:
    """Return a node that follows the driver's clock, which is that of its own namespace."""
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
    """What demonstrations need: who lets the hand go, and the scripted teacher."""
    scripted = config.teacher == SCRIPT
    teacher_config = ", ".join(
        f"{name} {value:g}" for name, value in sorted(config.teacher_config.items())
    )
    task = _description(config)
    demonstrator = {
        **task,
        "pace": config.pace,
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


def _looking(config: GraphConfig) -> list[NodeSpec]:
    """What shows demonstrations that nobody carries out."""
    task = _description(config)
    nodes = [
        NodeSpec("replay", task | {"look": True}),
        NodeSpec("reward", task | {"pace": "real"}),
    ]
    if config.viewer:
        nodes.append(NodeSpec("viewer", task, package="handlab", executable="viewer"))
    return nodes
