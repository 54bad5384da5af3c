"""package.xml says what is imported, and what version it is."""

import ast
import importlib.metadata
import re
import sys
from functools import cache
from xml.etree import ElementTree

import pytest

from handlab_core.system.paths import share

SOURCE = share() / "src"
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/package.xml"))
PYTHON = sorted(path.parent.name for path in SOURCE.glob("*/setup.py"))

KEYS = {
    "PIL": "python3-pil",
    "can": "python3-can",
    "dynamixel_sdk": "dynamixel_sdk",
    "h5py": "python3-h5py",
    "hypothesis": "python3-hypothesis",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "psutil": "python3-psutil",
    "pytest": "python3-pytest",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
    "serial": "python3-serial",
    "typer": "python3-typer",
    "typing_extensions": "python3-typing-extensions",
    "xacro": "xacro",
    "yaml": "python3-yaml",
}
"""Imported module to rosdep key: rosdistro, rosdep/python.yaml; those without `-pip`."""

ROS = {
    "action_msgs", "ament_index_python", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs",
    "launch", "launch_ros", "lifecycle_msgs", "rcl_interfaces", "rclpy", "rosgraph_msgs",
    "sensor_msgs", "std_msgs", "std_srvs", "tf2_msgs", "type_description_interfaces",
    "unique_identifier_msgs", "visualization_msgs",
}  # fmt: skip
"""Packages of ROS, called as their modules are."""

FROM_LOCK = {
    "av", "cma", "gymnasium", "lz4", "markdown_it", "mcap", "mcap_ros2", "msgspec", "mujoco",
    "pydantic", "pydantic_core", "rosbags", "safetensors", "torch", "viser", "websockets",
    "yourdfpy", "zstandard",
}  # fmt: skip
"""No key, or the distribution's is older than the code needs: requirements.lock has them."""

OPTIONAL = {
    "mujoco_warp": "gpu", "ray": "ray", "warp": "gpu",
    "gymnasium_robotics": "adroit", "minari": "adroit", "onnx": "onnx", "onnxruntime": "onnx",
    "dxl2": "test", "rustypot": "test", "selenium": "test", "stable_baselines3": "test",
}  # fmt: skip
"""Module to requirements-<...>.lock: packages that code imports only where a user asks for them."""

DISTRIBUTIONS = {"dxl2": "dynamixel-python", "warp": "warp-lang"}
"""Packages of optional modules that have another name."""

UNSEEN = {
    "handlab_hardware": {"python3-msgpack"},  # python-can's udp_multicast imports it
}
"""Dependencies that no import shows."""


@cache
def imported(package, part):
    modules = set()
    for path in (SOURCE / package / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
    return modules - set(sys.stdlib_module_names) - {package}


def manifest(package):
    return ElementTree.parse(SOURCE / package / "package.xml").getroot()


def named(package, *kinds):
    return {element.text for kind in kinds for element in manifest(package).findall(kind)}


def dependencies(modules):
    ours = {module for module in modules if module.startswith("handlab")}
    return ours | (modules & ROS) | {KEYS[module] for module in modules & set(KEYS)}


@pytest.mark.parametrize("package", PYTHON)
def test_package_xml_names_exactly_what_the_package_imports(package):
    needed = dependencies(imported(package, package)) | UNSEEN.get(package, set())
    assert named(package, "exec_depend", "depend") == needed
    # Tests of the nodes start whole graphs, but a circle of packages cannot be built.
    tests = dependencies(imported(package, "test")) - needed - {"handlab"}
    upwards = {name for name in tests if name.startswith("handlab_sim") and "nodes" in package}
    assert named(package, "test_depend") == tests - upwards | {"python3-pytest"}


@pytest.mark.parametrize("package", PYTHON)
def test_what_package_xml_cannot_name_is_in_the_lock(package):
    lock = (share() / "requirements.lock").read_text().lower()
    locked = {line.split("==")[0].replace("_", "-") for line in lock.split()}
    modules = imported(package, package) | imported(package, "test")
    rest = {m for m in modules - ROS - set(KEYS) if not m.startswith("handlab")}
    for module in rest & set(OPTIONAL):
        optional = (share() / f"requirements-{OPTIONAL[module]}.lock").read_text()
        name = DISTRIBUTIONS.get(module, module.replace("_", "-"))
        assert re.search(rf"^{name}\b", optional, re.M), module
    rest -= set(OPTIONAL)
    assert rest <= FROM_LOCK, f"give a rosdep key to {sorted(rest - FROM_LOCK)}, or lock it"
    distributions = importlib.metadata.packages_distributions()
    for module in rest:
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[module]}
        assert names & locked, module


def test_bringup_names_every_package_that_launch_files_start():
    assert {"handlab", "launch", "launch_ros", "xacro"} <= named("handlab_bringup", "exec_depend")
    for path in (share() / "launch").glob("*.py"):
        modules = set(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.M))
        assert dependencies(modules) <= named("handlab_bringup", "exec_depend")


def test_all_packages_have_one_version():
    """package.xml holds it, setup.py reads it there, and an installation says it."""
    (version,) = {manifest(package).findtext("version") for package in PACKAGES}
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert {importlib.metadata.version(package) for package in PYTHON} == {version}


def test_setup_scripts_are_one_and_state_no_fact():
    """All that differs stands in package.xml and, for programs, in setup.cfg."""
    (text,) = {(SOURCE / package / "setup.py").read_text() for package in PYTHON}
    for package in PYTHON:
        facts = [manifest(package).findtext(x) for x in ("name", "version", "description")]
        assert not [fact for fact in facts if re.search(rf"\b{re.escape(fact)}\b", text)]
