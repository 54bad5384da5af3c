"""Checks of the machine: findings, the remedy of each, and repairs where a program can do them."""

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from handlab.graph import ros_environment
from handlab.machine import shared_memory
from handlab.machine.adapters import Places, lacks_rule, set_timers, slow_adapters, write_rule
from handlab.machine.installation import EVERYTHING, MESSAGES, PACKAGES, repeat
from handlab_core.errors import BadConfig, HandlabError, RenderingUnavailable
from handlab_hardware.dynamixel.protocol.serial_port import UDEV_RULE

MEMORY_NEEDED = 2.0
"""GiB: six node processes, the largest with torch."""

PYTHONPATH_ASIDE = "HANDLAB_PYTHONPATH_ASIDE"
"""The shell's PYTHONPATH, which the entry script does not hand on."""

FIX = "./handlab doctor --fix"
"""Command that repairs the findings that can be repaired."""


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    """False: only a convenience is missing without it."""
    repair: Callable[[], str] | None = None
    """Does what the remedy says and returns the effect in words; None: a person has to do it."""


def check_all() -> list[Check]:
    """Run all checks, even where one fails."""
    checks: list[Callable[[], Check]] = [
        _python,
        _ros,
        _messages,
        *[_library(name) for name in ("mujoco", "torch", "gymnasium", "rosbags", "viser")],
        _packages,
        _leftovers,
        _network,
        _memory,
        _adapters,
        _rule,
        _rendering,
        _video,
    ]
    found = _environment()
    for check in found:  # the other checks run without the harmful variables
        if not check.ok:
            os.environ.pop(check.name, None)
    return [*found, *(look() for look in checks)]


def repair(check: Check) -> tuple[bool, str]:
    """Repair one finding; return whether it is repaired, and the effect or the reason in words."""
    if check.repair is None:
        return False, f"not by this program: {check.remedy}"
    try:
        return True, check.repair()
    except PermissionError as error:
        return False, f"{error.filename}: it takes the rights of root: {check.remedy}"
    except (OSError, ValueError, HandlabError) as error:
        return False, str(error)


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
    remedy = f"{FIX}, then start again: ROS 2's Python packages are installed"
    try:
        rclpy = importlib.import_module("rclpy")
        importlib.import_module("rclpy.experimental")
    except ImportError as error:
        return Check("rclpy", False, str(error), remedy, repair=partial(repeat, EVERYTHING))
    source = "sourced" if os.environ.get("ROS_DISTRO") else "wheels"
    return Check("rclpy", True, f"{source}, {Path(str(rclpy.__file__)).parent}")


def _messages() -> Check:
    remedy = f"{FIX}, then start again: src/handlab_interfaces is built"
    again = partial(repeat, MESSAGES)
    try:
        module = importlib.import_module("handlab_interfaces.msg")
    except ImportError as error:
        return Check("messages", False, str(error), remedy, repair=again)
    complete = hasattr(module, "Episode")
    return Check("messages", complete, "handlab_interfaces", remedy, repair=again)


def _library(name: str) -> Callable[[], Check]:
    def check() -> Check:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # mujoco raises RuntimeError at a value of MUJOCO_GL
            remedy = f"{FIX}, then start again: requirements.lock is installed"
            return Check(name, False, str(error), remedy, repair=partial(repeat, EVERYTHING))
        return Check(name, True, str(getattr(module, "__version__", "there")))

    return check


def _packages() -> Check:
    names = ("core", "data", "hardware", "sim", "learning", "nodes")
    for name in names:
        try:
            importlib.import_module(f"handlab_{name}")
        except ImportError as error:
            remedy = f"{FIX}, then start again: handlab's packages are installed"
            return Check("packages", False, str(error), remedy, repair=partial(repeat, PACKAGES))
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
    remedy = "allow UDP on the loopback interface, and space in /dev/shm"
    return Check("DDS", done.returncode == 0, "a message came through" if not done.returncode else
                 "no message came through", remedy)  # fmt: skip


def _leftovers() -> Check:
    """Check that dead processes left no shared memory."""
    left = shared_memory.leftovers()
    size = sum(group.size for group in left) / 2**20
    found = f"{len(left)} groups of files of dead processes, {size:.0f} MiB"
    remedy = f"{FIX} removes them; living processes keep theirs"
    return Check("shared memory", not left, found if left else "nothing left by dead processes",
                 remedy, needed=False, repair=_remove_leftovers)  # fmt: skip


def _remove_leftovers() -> str:
    gone = shared_memory.remove_leftovers()
    size = sum(group.size for group in gone) / 2**20
    return f"removed {len(gone)} groups of files, {size:.0f} MiB"


def _adapters(places: Places = Places()) -> Check:  # noqa: B008
    """Check the latency timers of the adapters that are plugged in."""
    slow = slow_adapters(places)
    found = ", ".join(f"{port} holds bytes back for {ms} ms" for port, ms in slow.items())
    remedy = f"sudo {FIX}, or unplug it and plug it in again where the rule is there"
    return Check("latency timer", not slow, found or "no adapter holds bytes back",
                 remedy, needed=False, repair=partial(set_timers, places))  # fmt: skip


def _rule(places: Places = Places()) -> Check:  # noqa: B008
    """Check that adapters are fast when they are plugged in again."""
    lacks = lacks_rule(places)
    line = f"echo {shlex.quote(UDEV_RULE)} | sudo tee -a {places.rule}"
    remedy = f"{line} && sudo udevadm control --reload"
    return Check("udev rule", not lacks, f"{places.rule} lacks the latency timer" if lacks else
                 "none is missing", remedy, needed=False,
                 repair=partial(write_rule, places))  # fmt: skip


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
