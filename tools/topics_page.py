"""Write docs/topics.md from the nodes: `.venv/bin/python tools/topics_page.py [--write]`.

Every node of every kind of graph is built in this process. The page lists the publishers,
subscriptions, services and actions that the nodes create meanwhile, and their parameters.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from handlab.graph.config import GraphConfig, NodeSpec, build_graph
from handlab.graph.ros_domain import Domain
from handlab.reporting.generated_tables import between
from handlab_core.system.paths import share
from handlab_core.system.validation import field_schemas
from handlab_core.tasks import make_task
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import topics
from handlab_nodes.nodes.recorder_node import RECORDED
from handlab_nodes.runtime.event_loop import EventLoop

PAGE = Path("docs", "topics.md")

GRAPHS = (
    GraphConfig(viewer=True, scene=True, bag="bag", keep_last=30.0, estimator="camera"),
    GraphConfig(hardware="dynamixel", pace="real", port="/dev/null", emulate=True),
    GraphConfig(task="allegro_valve", hardware="allegro", pace="real"),
    GraphConfig(teacher="script", runner=False),
    GraphConfig(replay="look"),
    GraphConfig(replay="hand"),
    GraphConfig(ros2_control=True, pace="real"),
)
"""Together they contain every node."""

NOT_BUILT = {"emulator"}
"""Nodes that open motors when they are built; they create no topics of their own."""

DIFFERENT = ("estimator", "look", "command_output")
"""Parameters that decide about topics: a node is built once for each of their values."""

ROS_OWN = ("/parameter_events", "/rosout", "/clock")
ROS_OWN_ENDS = (
    "get_parameters", "set_parameters", "set_parameters_atomically", "list_parameters",
    "describe_parameters", "get_parameter_types", "change_state", "get_state",
    "get_available_states", "get_available_transitions", "get_transition_graph",
    "get_type_description",
)  # fmt: skip
"""Names that every node of rclpy has."""

TRANSITIONS = "<driver>/transition_event"
"""Topic of every lifecycle node; rcl_lifecycle publishes it, with rmw's default QoS."""

MEANINGS = {
    "hand/joint_states": "every reading of the hand: rad, rad/s, N m",
    "fixture/joint_states": "every reading of the object's joint: rad, rad/s, N m",
    "joint_states": "all joints of hand and fixture, at most 30 times a second of wall time",
    "hand/joint_commands": "targets of the hand: rad, largest effort in N m",
    "hand/joint_commands_sent": "what the clamp made of the newest command; effort 0: no goal sent",
    "fixture/joint_commands": "targets of the object's motor: rad, largest effort in N m",
    "hand/torque_on": "whether the hand follows commands; false: its torque was turned off",
    "hand/status": "temperatures, voltages and hardware errors of the hand; requests for a pause",
    "fixture/status": "the same for the fixture",
    "hand/guide": "rest position (rad) and stiffness (N m/rad) of springs that guide the fingers",
    "camera/detections": "pose of the object's frame, stamped with the time of the picture",
    "object/state": "estimated angle, velocity and variances of the object",
    "episode_goal": "goal of the present episode",
    "reward": "reward of each step, and its terms",
    "episode": "each finished episode",
    "intervention": "commands of a person who acts in place of the policy",
    "joy": "state of a joystick, by which a person acts in place of the policy",
    "policy": "the newest policy",
    "demonstration/session": "facts of the recording: task, hand, joints, calibration",
    "demonstration/mark": "begin, end and verdict of each demonstration",
    "robot_description": "URDF of hand and object",
    "simulation/state": "stamp [s] and state of a simulation in lockstep; for an exact replay",
    "label": "words of a person about this moment, for the recording",
    "clock": "simulated time; `/clock` of a robot without a namespace",
    "/diagnostics": "state of every node, once a second (REP 107)",
    "forward_position_controller/commands": "targets of the hand for ros2_control's controller",
    "<driver>/stopped": "whether the emergency stop has released the motors of a driver",
    "<driver>/transition_event": "lifecycle transitions of a driver",
    "/tf": "frames of all links that move; a robot in a namespace has it before their names",
    "/tf_static": "frames of all links that are fixed to another one",
    "visualization_marker_array": "goal, object as estimated, fingertip forces, reward; for rviz",
    "<action>/_started": "identity of the process that serves an action, once it has started",
}
"""Topic to its meaning; a topic that is missing here is an error."""

SERVICES = {
    "hand/torque": "turn the hand's torque on or off",
    "fixture/torque": "turn the torque of the object's motor on or off",
    "hand/guided": "turn the springs of `hand/guide` on or off; simulation only",
    "teacher/lead": "start or stop the scripted teacher",
    "teleport": "place hand and object at once; simulation only",
    "recorder/record": "start or stop the recording",
    "runner/pause": "rest after the present episode, or go on",
    "recorder/keep": "write the newest seconds, which the recorder has in memory, as a bag",
    "demonstration/tell": "send a person's decision to the demonstrator",
    "<driver>/joint_torque": "release single joints, or engage them again",
    "<driver>/reboot": "restart one joint's motor, which clears its hardware error",
    "<driver>/calibrate": "take the present pose as the zero pose",
    "<driver>/jog": "move one joint a small step, while no node commands the hand",
    "<driver>/emergency_stop": "release all motors until they are engaged again; goals wait",
}
"""Service to its meaning."""

ACTIONS = {
    "reset": "bring object and hand to the start of an episode",
    "rollout": "run episodes with the newest policy",
    "train": "learn a task; feedback carries a row of metrics per iteration",
    "evaluate": "run the policy of a checkpoint without noise",
    "record_demonstration": "record demonstrations; before each the station is reset",
    "replay_demonstration": "repeat demonstrations of a bag on the hand",
}
"""Action to its meaning."""


@dataclass
class Entry:
    """One topic, service or action.

    Attributes:
        types: ROS types.
        offered: quality of service of the publishers.
        servers: names of publishing or serving nodes.
        users: names of subscribing or calling nodes.
    """

    types: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)


class Recorder:
    """Notes what nodes create while they are built."""

    def __init__(self) -> None:
        self.topics: dict[str, Entry] = {}
        self.services: dict[str, Entry] = {}
        self.actions: dict[str, Entry] = {}
        self.node = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Replace the constructors of rclpy by some that note their arguments first."""
        kept: list[tuple[Any, str, Any]] = []

        def watch(owner: Any, name: str, note: Callable[..., None]) -> None:
            real = getattr(owner, name)

            def call(this: Any, *args: Any, **options: Any) -> Any:
                note(this, *args, **options)
                return real(this, *args, **options)

            kept.append((owner, name, real))
            setattr(owner, name, call)

        watch(Node, "create_publisher", self._publisher)
        watch(Node, "create_subscription", self._subscription)
        watch(Node, "create_service", self._service(True))
        watch(Node, "create_client", self._service(False))
        watch(ActionServer, "__init__", self._action(True))
        watch(ActionClient, "__init__", self._action(False))
        try:
            yield
        finally:
            for owner, name, real in kept:
                setattr(owner, name, real)

    def _publisher(self, node: Node, kind: Any, topic: str, qos: Any, *_: Any, **__: Any) -> None:
        if (entry := self._entry(self.topics, topic, kind)) is not None:
            entry.servers.add(self.node)
            entry.offered.add(quality(qos))

    def _subscription(self, node: Node, kind: Any, topic: str, *_: Any, **__: Any) -> None:
        if (entry := self._entry(self.topics, topic, kind)) is not None:
            entry.users.add(self.node)

    def _service(self, serves: bool) -> Callable[..., None]:
        def note(node: Node, kind: Any, name: str, *_: Any, **__: Any) -> None:
            if (entry := self._entry(self.services, name, kind)) is not None:
                (entry.servers if serves else entry.users).add(self.node)

        return note

    def _action(self, serves: bool) -> Callable[..., None]:
        def note(this: Any, node: Node, kind: Any, name: str, *_: Any, **__: Any) -> None:
            if (entry := self._entry(self.actions, name, kind)) is not None:
                (entry.servers if serves else entry.users).add(self.node)

        return note

    def _entry(self, table: dict[str, Entry], name: str, kind: Any) -> Entry | None:
        name = generic(name)
        if name in ROS_OWN or "/_action/" in name or name.split("/")[-1] in ROS_OWN_ENDS:
            return None
        entry = table.setdefault(name, Entry())
        entry.types.add(ros_type(kind))
        return entry


def generic(name: str) -> str:
    """Return a name in which the driver's name and that of an action are placeholders."""
    name = name.replace("~/", "<driver>/")
    if name.split("/")[0] in topics.DRIVERS:
        return "/".join(("<driver>", *name.split("/")[1:]))
    head, _, tail = name.rpartition("/")
    hidden = tail.lstrip("_")
    return f"<action>/{tail}" if hidden == "started" and head in topics.SERVERS else name


def ros_type(kind: Any) -> str:
    """Return the ROS name of a message, service or action class."""
    package, group = kind.__module__.split(".")[:2]
    return f"{package}/{group}/{kind.__name__}"


def quality(qos: QoSProfile | int) -> str:
    """Return a profile in words."""
    if isinstance(qos, int):
        qos = QoSProfile(depth=qos)
    best = qos.reliability is ReliabilityPolicy.BEST_EFFORT
    latched = qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
    return f"{'best effort' if best else 'reliable'}, {'latched, ' * latched}{qos.depth}"


def node_class(module: str) -> type[Node]:
    """Return the class of a node, the only one of its module."""
    return _only(module, lambda value: issubclass(value, Node))


def params_class(module: str) -> Any:
    """Return the dataclass of a node's parameters."""
    return _only(module, lambda value: value.__name__.endswith("Params") and is_dataclass(value))


def _only(module: str, fits: Callable[[type], bool]) -> Any:
    """Return the one class that a module defines itself and that fits."""
    [found] = [
        value
        for value in vars(import_module(module)).values()
        if isinstance(value, type) and value.__module__ == module and fits(value)
    ]
    return found


def record(recorder: Recorder, spec: NodeSpec, folder: Path) -> None:
    """Build one node, and those of its parts that are built with its first goal."""
    recorder.node = spec.name
    if "bag" in spec.parameters:
        spec.parameters["bag"] = str(folder / "bag")
    rclpy.init(args=["--ros-args", "-r", f"__node:={spec.name}", *spec.ros_words()])
    try:
        node: Any = node_class(spec.module)()
        with EventLoop(node) as loop:
            task = make_task(spec.parameters.get("task", "valve"))
            if spec.name in ("runner", "demonstrator") or "calibration" in spec.parameters:
                output = spec.parameters.get("command_output", "joint_state")
                GraphStation(node, loop, task, output == "joint_state", output)
            if spec.name == "learner":
                GraphSampler(node, loop, task)
            if spec.name == "recorder":
                for topic, (kind, _) in RECORDED.items():
                    node.create_subscription(kind, topic, print, 1)
    finally:
        rclpy.try_shutdown()


def table(head: str, rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    columns = head.count("|") + 1
    return "\n".join(
        [f"| {head} |", "|---" * columns + "|", *(f"| {' | '.join(r)} |" for r in rows)]
    )


def names(nodes: set[str]) -> str:
    """Return names of nodes in one cell."""
    return ", ".join(sorted(nodes))


def topics_table(recorder: Recorder) -> str:
    """Return the table of topics."""
    rows = [
        (f"`{name}`", MEANINGS[name], "<br>".join(f"`{t}`" for t in sorted(entry.types)),
         "<br>".join(sorted(entry.offered)), names(entry.servers), names(entry.users))
        for name, entry in sorted(recorder.topics.items())
    ]  # fmt: skip
    return table("topic | meaning | type | QoS of publishers | publishers | listeners", rows)


def calls_table(entries: dict[str, Entry], meanings: dict[str, str], head: str) -> str:
    """Return the table of services or actions."""
    rows = [
        (f"`{name}`", meanings[name], "<br>".join(f"`{t}`" for t in sorted(entry.types)),
         names(entry.servers), names(entry.users))
        for name, entry in sorted(entries.items())
    ]  # fmt: skip
    return table(f"{head} | meaning | type | server | callers", rows)


def bounds(schema: dict[str, Any]) -> str:
    """Return the range or the known values of a parameter."""
    known = schema.get("enum") or schema.get("items", {}).get("enum")
    if known:
        return ", ".join(f"`{name}`" for name in known)
    parts = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", "at least"), ("exclusiveMinimum", "above"),
            ("maximum", "at most"), ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]  # fmt: skip
    return ", ".join(parts)


def parameters(spec: NodeSpec) -> str:
    """Return the table of a node's parameters."""
    kind = params_class(spec.module)
    schemas, defaults = field_schemas(kind), kind()
    rows = []
    for each in fields(kind):
        value = getattr(defaults, each.name)
        text = "" if value == "" else f"`{list(value) if isinstance(value, tuple) else value}`"
        schema = schemas[each.name]
        description = schema["description"].replace("|", "\\|")
        rows.append((f"`{each.name}`", text, bounds(schema), description))
    return table("parameter | default | allowed | description", rows)


def filled(text: str) -> str:
    """Return the text of the page with its tables made again."""
    recorder, built, specs = Recorder(), set(), {}
    domain = Domain()
    with tempfile.TemporaryDirectory() as folder, recorder.listening():
        for config in GRAPHS:
            for spec in build_graph(config):
                specs.setdefault(spec.module, spec)
                kind = (spec.name, *(spec.parameters.get(name) for name in DIFFERENT))
                if spec.name not in NOT_BUILT and kind not in built:
                    built.add(kind)
                    record(recorder, spec, Path(folder))
    domain.release()
    recorder.topics[TRANSITIONS].servers |= set(topics.DRIVERS)
    recorder.topics[TRANSITIONS].offered.add(quality(10))
    tables = {
        "topics": topics_table(recorder),
        "actions": calls_table(recorder.actions, ACTIONS, "action"),
        "services": calls_table(recorder.services, SERVICES, "service"),
        "parameters": "\n\n".join(
            f"### {spec.name}\n\n{parameters(spec)}"
            for spec in sorted(specs.values(), key=lambda s: s.name)
        ),
    }
    for name, content in tables.items():
        text = between(text, f"<!-- {name}:begin -->", f"<!-- {name}:end -->", content)
    return text


def main() -> int:
    """Write the page, or return 1 if its tables are not those of the nodes."""
    path = share() / PAGE
    before = path.read_text()
    after = filled(before)
    if "--write" in sys.argv[1:]:
        path.write_text(after)
    elif after != before:
        print(f"{PAGE} is out of date: .venv/bin/python tools/topics_page.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
