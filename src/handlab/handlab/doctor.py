"""Checks of the machine: findings, and the remedy for each problem."""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handlab.graph import ros_environment
from handlab_core.errors import BadConfig, RenderingUnavailable

MEMORY_NEEDED = 2.0
"""GiB: six node processes, the largest with torch."""


PYTHONPATH_ASIDE = "HANDLAB_PYTHONPATH_ASIDE"
"""The shell's PYTHONPATH, which the entry script does not hand on."""


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    """False: only a convenience is missing without it."""


def check_all() -> list[Check]:
    """Run all checks, even where one fails."""
    checks: list[Callable[[], Check]] = [
        _python,
        _ros,
        _messages,
        *[_library(name) for name in ("mujoco", "torch", "gymnasium", "rosbags", "viser")],
        _packages,
        _network,
        _memory,
        _rendering,
        _video,
    ]
    found = _environment()
    for check in found:  # the other checks run without the harmful variables
        if not check.ok:
            os.environ.pop(check.name, None)
    return [*found, *(look() for look in checks)]


def _environment() -> list[Check]:
    """Check the variables of the shell."""
    try:
        network = ros_environment.wants_network()
    except BadConfig as error:
        return [Check(ros_environment.NETWORK, False, str(error), "unset it")]
    findings = ros_environment.findings(os.environ, network)
    checks = [
        Check(f.variable, False, f"{f.value}: {f.problem}", f.remedy, f.fatal) for f in findings
    ]
    if aside := os.environ.get(PYTHONPATH_ASIDE):
        found = f"{aside}: is not used; .venv has all that is needed"
        checks.append(Check("PYTHONPATH", False, found, "unset it", needed=False))
    reach = "all networks (--network)" if network else "this machine alone"
    return checks or [Check("environment", True, f"nothing is in the way; graphs reach {reach}")]


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _ros() -> Check:
    remedy = "delete .venv and start ./handlab again; it installs ROS 2 Jazzy's Python wheels"
    try:
        rclpy = importlib.import_module("rclpy")
        importlib.import_module("rclpy.experimental")
    except ImportError as error:
        return Check("rclpy", False, str(error), remedy)
    source = "sourced" if os.environ.get("ROS_DISTRO") else "wheels"
    return Check("rclpy", True, f"{source}, {Path(str(rclpy.__file__)).parent}")


def _messages() -> Check:
    remedy = "start ./handlab again: it builds src/handlab_interfaces"
    try:
        module = importlib.import_module("handlab_interfaces.msg")
    except ImportError as error:
        return Check("messages", False, str(error), remedy)
    return Check("messages", hasattr(module, "Episode"), "handlab_interfaces", remedy)


def _library(name: str) -> Callable[[], Check]:
    def check() -> Check:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # mujoco raises RuntimeError at a value of MUJOCO_GL
            remedy = "delete .venv and start ./handlab again; it installs requirements.lock"
            return Check(name, False, str(error), remedy)
        return Check(name, True, str(getattr(module, "__version__", "there")))

    return check


def _packages() -> Check:
    names = ("core", "data", "hardware", "sim", "learning", "nodes")
    for name in names:
        try:
            importlib.import_module(f"handlab_{name}")
        except ImportError as error:
            return Check("packages", False, str(error), "start ./handlab again")
    return Check("packages", True, ", ".join(f"handlab_{name}" for name in names))


def _network() -> Check:
    """Check that two nodes of this machine hear each other."""
    script = (
        "import rclpy,time\nfrom rclpy.context import Context\n"
        "from rclpy.executors import SingleThreadedExecutor\n"
        "from std_msgs.msg import String\n"
        "from handlab.graph import ros_environment\nros_environment.prepare()\n"
        "one,two=Context(),Context()\n"  # of one context all nodes are one participant in DDS
        "rclpy.init(context=one); rclpy.init(context=two)\n"
        "a=rclpy.create_node('doctor_a',context=one)\n"
        "b=rclpy.create_node('doctor_b',context=two)\nheard=[]\n"
        "b.create_subscription(String,'doctor',heard.append,10)\n"
        "executor=SingleThreadedExecutor(context=two); executor.add_node(b)\n"
        "out=a.create_publisher(String,'doctor',10)\nend=time.time()+10\n"
        "while not heard and time.time()<end:\n"
        "    out.publish(String(data='x')); executor.spin_once(timeout_sec=0.1)\n"
        "raise SystemExit(not heard)"
    )
    environment = dict(os.environ)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    remedy = "allow UDP on the loopback interface, and space in /dev/shm (rm /dev/shm/fastrtps_*)"
    return Check("DDS", done.returncode == 0, "a message came through" if not done.returncode else
                 "no message came through", remedy)  # fmt: skip


def _memory() -> Check:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    disk = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    enough = free >= MEMORY_NEEDED and disk >= 1.0
    return Check("memory", enough, f"{free:.1f} GiB of memory, {disk:.0f} GiB of disk free",
                 f"free {MEMORY_NEEDED:.0f} GiB of memory and 1 GiB of disk")  # fmt: skip


def _rendering() -> Check:
    from handlab_sim import offscreen

    try:
        backends = offscreen.candidates()
    except RenderingUnavailable as error:
        return Check("rendering", False, str(error), "unset MUJOCO_GL", needed=False)
    for backend in backends:
        if offscreen.failure(backend) is None:
            return Check("rendering", True, f"off screen with {backend}", needed=False)
    return Check("rendering", False, f"none of {', '.join(backends)} works; reports have no video",
                 offscreen.REMEDY, needed=False)  # fmt: skip


def _video() -> Check:
    import av.codec

    ok = "libx264" in av.codec.codecs_available
    return Check("video", ok, "libx264" if ok else "no libx264 in PyAV",
                 "install the lock file's version of av", needed=False)  # fmt: skip
