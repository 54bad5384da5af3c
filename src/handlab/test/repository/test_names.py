"""Everything that is named exists, and imports go one way only."""

import ast
import importlib
import importlib.metadata
import inspect
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from rclpy.node import Node

from handlab.emulation.realities import WIRES, realities
from handlab.graph.config import GraphConfig, build_graph
from handlab_core.demonstrations.gait import load_gait
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.hands import HANDS
from handlab_core.hardware.backend_table import BACKENDS, load
from handlab_core.system.paths import share, urdf
from handlab_core.tasks import TASKS, make_task
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.station_file import load_station

ROOT = share()

OURS = {
    "handlab_core": set(),
    "handlab_data": {"handlab_core"},
    "handlab_hardware": {"handlab_core"},
    "handlab_sim": {"handlab_core"},
    "handlab_learning": {"handlab_core"},
    "handlab_nodes": {"handlab_core", "handlab_data", "handlab_learning", "handlab_interfaces"},
    "handlab": {
        "handlab_core", "handlab_data", "handlab_hardware", "handlab_sim", "handlab_learning",
        "handlab_nodes", "handlab_interfaces",
    },
}  # fmt: skip
"""Which of our packages each may know, besides itself."""

FOREIGN = {
    "rclpy": {"handlab_nodes", "handlab"},
    "mujoco": {"handlab_sim", "handlab"},
    "gymnasium_robotics": {"handlab_sim"},
    "minari": {"handlab_sim"},
    "torch": {"handlab_learning", "handlab"},
    "serial": {"handlab_hardware"},
    "can": {"handlab_hardware"},
    "dynamixel_sdk": {"handlab_hardware"},
}
"""Which packages may know a foreign module."""

EVERYTHING = GraphConfig(
    bag="/tmp/bag", viewer=True, estimator="camera", teacher="script", replay="hand"
)
"""A graph with every node there is for MuJoCo."""

BARE = {"pace": "real", "runner": False, "learner": False}
DEMONSTRATING = {
    "record.launch.py": GraphConfig(bag="bag", teacher="script", **BARE),
    "replay.launch.py": GraphConfig(replay="look", **BARE),
}
"""Launch files that are not of one task, and what they start by default."""

CORE_MAY = {"numpy", "yaml", "pydantic", "pydantic_core"}


def imported(path):
    """Top-level modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    names += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 0]
    return {name.split(".")[0] for name in names}


def sources():
    for package in OURS:
        for path in sorted((ROOT / "src" / package / package).rglob("*.py")):
            yield pytest.param(package, path, id=str(path.relative_to(ROOT / "src" / package)))


@pytest.mark.parametrize(("package", "path"), list(sources()))
def test_imports_go_one_way(package, path):
    roots = imported(path)
    ours = {r for r in roots if r.startswith("handlab")} - {package}
    assert ours <= OURS[package], f"{package} may not know {sorted(ours - OURS[package])}"
    for module, allowed in FOREIGN.items():
        assert module not in roots or package in allowed, f"{package} may not know {module}"
    if package == "handlab_core":
        foreign = roots - set(sys.stdlib_module_names) - {package}
        assert foreign <= CORE_MAY, f"the core may not know {sorted(foreign)}"


def entry_points():
    for package in ("handlab", "handlab_nodes"):
        for entry in importlib.metadata.distribution(package).entry_points:
            yield pytest.param(entry, id=f"{entry.group}:{entry.name}")


@pytest.mark.parametrize("entry", list(entry_points()))
def test_every_entry_point_can_be_called(entry):
    assert callable(entry.load())


def test_every_node_of_the_graph_is_an_entry_point():
    scripts = {
        (package, entry.name)
        for package in ("handlab", "handlab_nodes")
        for entry in importlib.metadata.distribution(package).entry_points
    }
    for node in build_graph(EVERYTHING):
        assert (node.package, node.executable) in scripts
        assert callable(importlib.import_module(node.module).main)


def test_every_parameter_of_the_graph_is_one_of_the_node():
    for node in (*build_graph(EVERYTHING), *build_graph(DEMONSTRATING["replay.launch.py"])):
        module = importlib.import_module(node.module)
        [params] = [
            c
            for n, c in vars(module).items()
            if n.endswith("Params") and c.__module__ == module.__name__
        ]
        of_every_node = {"use_sim_time"}
        assert set(node.parameters) - of_every_node <= set(params.__dataclass_fields__), node.name


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_can_be_imported(name):
    spec = BACKENDS[name]
    assert callable(load(spec.factory)) and (not spec.emulator or callable(load(spec.emulator)))
    assert spec.fixture_backend in ("", *BACKENDS) and spec.emulated_hand in ("", *HANDS)


@pytest.mark.parametrize("name", sorted(HANDS))
def test_every_hand_has_its_urdf(name):
    assert urdf(HANDS.make(name).urdf).is_file()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_has_a_launch_file_and_urdfs(name):
    task = TASKS.make(name)
    assert (ROOT / "launch" / f"{name}.launch.py").is_file()
    assert urdf(task.fixture.urdf).is_file() and task.hand.urdf


@pytest.mark.parametrize(
    "path", sorted((ROOT / "config").rglob("*.*")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_config_file_can_be_read(path):
    """Stations' files have a dataclass; rviz, ROS and Fast DDS read their own."""
    if path.parent.name == "hands":
        station = load_station(path)
        assert station.path == path
        assert station.allegro is None or AllegroConfig.from_dict(station.allegro)
        return
    if path.parent.name == "gaits":
        assert load_gait(make_task(path.stem)).poses.shape[1] == make_task(path.stem).hand.n
        return
    if path.parent.name == "dds":
        assert ElementTree.parse(path).getroot().tag.endswith("dds")
        return
    if path.name == "realities.json":
        assert all(realities(hand) for hand in WIRES.values())
        return
    kinds = (path.suffix, path.parent.name)
    assert ".rviz" in kinds or "controllers" in kinds, f"no dataclass is known for {path.name}"
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_messages_are_all_built():
    folder = ROOT / "src" / "handlab_interfaces"
    for kind in ("msg", "srv", "action"):
        module = importlib.import_module(f"handlab_interfaces.{kind}")
        for path in (folder / kind).glob(f"*.{kind}"):
            assert hasattr(module, path.stem), path.name
    listed = (folder / "CMakeLists.txt").read_text()
    assert all(
        f'"{p.parent.name}/{p.name}"' in listed for p in folder.glob("*/*.*") if p.suffix != ".xml"
    )


def test_launch_files_are_short():
    for path in (ROOT / "launch").glob("*.launch.py"):
        assert len(path.read_text().splitlines()) <= 50


@pytest.mark.parametrize(
    "path", sorted((ROOT / "launch").glob("*.launch.py")), ids=lambda p: p.stem
)
def test_launch_files_describe_the_graph(path):
    """With launch_ros the description is built; without it, at least it names a task there is."""
    try:
        importlib.import_module("launch_ros")
    except ImportError:
        tree = ast.parse(path.read_text())
        [call] = [
            n for n in ast.walk(tree)
            if isinstance(n, ast.Call) and getattr(n.func, "id", "").endswith("_launch")
        ]  # fmt: skip
        source = ast.parse((ROOT / "src/handlab/handlab/graph/ros_launch.py").read_text())
        assert call.func.id in {n.name for n in source.body if isinstance(n, ast.FunctionDef)}
        named = [argument.value for argument in call.args]
        assert named == ([] if path.name in DEMONSTRATING else [path.name.split(".")[0]])
        assert set(named) <= set(TASKS)
        return
    from launch import LaunchContext
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(path))
    context = LaunchContext()
    for entity in description.entities[:-1]:
        entity.visit(context)
    actions = description.entities[-1].visit(context)
    started = {(a.node_package, a.node_executable) for a in actions}
    task = Path(path).name.removesuffix(".launch.py")
    config = DEMONSTRATING.get(path.name) or GraphConfig(task, pace="real")
    expected = build_graph(config)
    assert started == {(n.package, n.executable) for n in expected}
    arguments = {a.name: a for a in description.get_launch_arguments()}
    assert set(arguments["hardware"].choices) == set(BACKENDS)
    assert set(arguments["estimator"].choices) == set(ESTIMATORS)
    assert all(a.description for a in arguments.values())


def stored(tree):
    """Names of the attributes that the methods of a class assign to `self`."""
    return {
        n.attr for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        and isinstance(n.value, ast.Name) and n.value.id == "self"
    }  # fmt: skip


def node_classes():
    for package in ("handlab_nodes", "handlab"):
        for path in sorted((ROOT / "src" / package / package).rglob("*.py")):
            for kind in ast.walk(ast.parse(path.read_text())):
                bases = getattr(kind, "bases", ()) if isinstance(kind, ast.ClassDef) else ()
                if any(ast.unparse(base).endswith("Node") for base in bases):
                    yield pytest.param(kind, id=kind.name)


@pytest.mark.parametrize("kind", list(node_classes()))
def test_no_node_takes_the_name_of_an_attribute_of_rclpy(kind):
    source = Path(inspect.getsourcefile(Node)).read_text()
    taken = stored(ast.parse(source)) | {name for name in vars(Node) if not name.startswith("__")}
    assert not stored(kind) & taken
