"""The environment variables of a graph's processes.

A shell's profile may hold settings of ROS 2 and Fast DDS that no node survives, or that let other
machines command a hand. A graph is bound to this machine unless its user asks for the network:

| HANDLAB_NETWORK | DDS                                            | settings of the shell        |
|-----------------|------------------------------------------------|------------------------------|
| unset, 0        | the loopback interface and shared memory alone | about the network: set aside |
| 1 (`--network`) | all interfaces                                 | hold                         |
"""

import os
import re
import socket
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_core.system.paths import share
from handlab_sim import offscreen

NETWORK = "HANDLAB_NETWORK"

MIDDLEWARE = "rmw_fastrtps_cpp"

ABOUT_MIDDLEWARE = ("RMW_IMPLEMENTATION", "RCL_ASSERT_RMW_ID_MATCHES")

DOMAINS = range(233)
"""Domain ids whose ports exist; ROS 2, "The ROS_DOMAIN_ID"."""

SAFE_DOMAINS = range(102)
"""Domain ids whose ports do not touch those the kernel hands out; the same page."""

RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
"""Values of ROS_AUTOMATIC_DISCOVERY_RANGE; rcl, "discovery_options.c"."""

ABOUT_NETWORK = (
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_STATIC_PEERS",
    "ROS_LOCALHOST_ONLY",
    "ROS_DISCOVERY_SERVER",
    "ROS_SUPER_CLIENT",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "SKIP_DEFAULT_XML",
    "SKIP_DEFAULT_XML_FILE",
)
"""Set aside where a graph is bound to this machine."""

ADDRESS = r"([\w.\-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?"
SERVER = re.compile(f";*{ADDRESS}(;+{ADDRESS})*;*")
"""ROS_DISCOVERY_SERVER: addresses with ports, separated by semicolons."""


@dataclass(frozen=True)
class Finding:
    """A variable that is in the way."""

    variable: str
    value: str
    problem: str
    remedy: str
    fatal: bool = True
    """No graph can be started."""

    def __str__(self) -> str:
        """Return value, problem and remedy in one line."""
        return f"{self.variable}={self.value}: {self.problem}; {self.remedy}"


def wants_network(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the user asks for other machines.

    Raises:
        BadConfig: the variable has another value than 0 or 1.
    """
    given = environment.get(NETWORK, "0") or "0"
    if given not in ("0", "1"):
        raise BadConfig(f"{NETWORK}={given}: it is 0 or 1")
    return given == "1"


def loopback() -> dict[str, str]:
    """Return the variables that bind Fast DDS to this machine."""
    profiles = share() / "config" / "dds"
    variables = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # the profile says all
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(profiles / "loopback_2.xml"),  # 2, ROS 2 Jazzy
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profiles / "loopback.xml"),  # 3, ROS 2 Kilted
        "SKIP_DEFAULT_XML_FILE": "1",  # a profile in the working directory does not count
    }
    if _installed("fastdds", os.environ):  # Fast DDS 3 warns of the older name
        del variables["FASTRTPS_DEFAULT_PROFILES_FILE"]
    return variables


def prepare() -> None:
    """Check and set the variables that the nodes of a graph inherit; twice is harmless.

    Raises:
        BadConfig: with one of them no graph can be; names all, and what to do.
    """
    network = wants_network()
    found = list(findings(os.environ, network))
    _refuse(found)
    if network:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
        return
    if aside := [f.variable for f in found if f.variable in ABOUT_NETWORK]:
        sys.stderr.write(f"handlab: not used without --network: {', '.join(aside)}\n")
    for name in ABOUT_NETWORK:
        os.environ.pop(name, None)
    os.environ.update(loopback())


def check_middleware() -> None:
    """Check what ends a process at `import rclpy`, before there is an exception to catch.

    Raises:
        BadConfig: no node can be; names all variables that are in the way.
    """
    found = list(findings(os.environ, wants_network()))
    if any(finding.variable in ABOUT_MIDDLEWARE for finding in found):
        _refuse(found)


def _refuse(found: list[Finding]) -> None:
    if fatal := [str(finding) for finding in found if finding.fatal]:
        raise BadConfig(" | ".join(fatal))


def findings(environment: Mapping[str, str], network: bool) -> Iterator[Finding]:
    """Find the variables that are in the way."""
    ours = loopback()
    for name in () if network else ABOUT_NETWORK:
        value = environment.get(name, "")
        if value and value != ours.get(name, "") and (name, value) not in HARMLESS:
            yield Finding(name, value, "is not used without --network", "unset it", fatal=False)
    for name, check in CHECKS.items():
        value = environment.get(name, "")
        if name not in environment or (name in ABOUT_NETWORK and not network):
            continue
        if (verdict := check(value, environment)) is not None:
            yield Finding(name, value, *verdict)
    yield from _log_folder(environment)
    if not network:
        yield from _other_middleware(environment)


HARMLESS = {
    ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
    ("ROS_LOCALHOST_ONLY", "1"),
    ("ROS_LOCALHOST_ONLY", "0"),
}
"""Settings that repeat the default, or change nothing."""

Verdict = tuple[str, str] | tuple[str, str, bool] | None
"""Problem, remedy, and whether it is fatal; None: the value will do."""


def _domain(value: str, _: Mapping[str, str]) -> Verdict:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and int(value[:9]) in DOMAINS):
        return f"a domain is a whole number from 0 to {DOMAINS[-1]}", "mend or unset it"
    if int(value) not in SAFE_DOMAINS:
        top = SAFE_DOMAINS[-1]
        return "its ports may be taken by other programs", f"take one up to {top}", False
    return None


def _installed(library: str, environment: Mapping[str, str]) -> bool:
    """Return whether ROS has a shared library of this name."""
    prefixes = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    folders = [Path(prefix, "lib") for prefix in (sys.prefix, *prefixes) if prefix]
    folders += [Path(p) for p in environment.get("LD_LIBRARY_PATH", "").split(os.pathsep) if p]
    return any((folder / f"lib{Path(library).name}.so").exists() for folder in folders)


def _middleware(value: str, environment: Mapping[str, str]) -> Verdict:
    if value in ("", MIDDLEWARE):
        return None
    if _installed(value, environment):
        return None
    return "is not installed here", f"unset it, for {MIDDLEWARE}"


def _same_middleware(value: str, environment: Mapping[str, str]) -> Verdict:
    chosen = environment.get("RMW_IMPLEMENTATION") or MIDDLEWARE
    return None if value in ("", chosen) else (f"the middleware is {chosen}", "unset it")


def _other_middleware(environment: Mapping[str, str]) -> Iterator[Finding]:
    value = environment.get("RMW_IMPLEMENTATION") or MIDDLEWARE
    if value != MIDDLEWARE and _middleware(value, environment) is None:
        problem = "handlab binds only Fast DDS to this machine"
        yield Finding(
            "RMW_IMPLEMENTATION", value, problem, f"unset it, for {MIDDLEWARE}, or give --network"
        )


def _flag(value: str, _: Mapping[str, str]) -> Verdict:
    return None if value in ("", "0", "1") else ("it is 0 or 1", "mend or unset it")


def _mode(value: str, _: Mapping[str, str]) -> Verdict:
    if value in ("", "SYNCHRONOUS", "ASYNCHRONOUS", "AUTO"):
        return None
    return "it is SYNCHRONOUS, ASYNCHRONOUS or AUTO", "mend or unset it", False


def _range(value: str, _: Mapping[str, str]) -> Verdict:
    if value == "OFF":
        return "no node would hear another", "set it to SUBNET, or unset it"
    return None if value in ("", *RANGES) else (f"it is one of {', '.join(RANGES)}", "unset it")


def _localhost_only(value: str, environment: Mapping[str, str]) -> Verdict:
    if value == "1":
        return "contradicts --network", "unset it"
    return _flag(value, environment)


def _peers(value: str, _: Mapping[str, str]) -> Verdict:
    for peer in filter(None, value.split(";")):
        try:
            socket.getaddrinfo(peer, None, socket.AF_INET)
        except (OSError, UnicodeError):
            return f"{peer!r} is no address, nor a name that can be resolved", "mend or unset it"
    return None


def _server(value: str, _: Mapping[str, str]) -> Verdict:
    if not value or SERVER.fullmatch(value):
        return None
    return "it is a list address:port;address:port", "mend or unset it"


def _profiles(value: str, _: Mapping[str, str]) -> Verdict:
    if not value:
        return None
    try:
        ElementTree.parse(value)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        return f"is no file of profiles ({error})", "mend or unset it"
    return None


def _security(value: str, environment: Mapping[str, str]) -> Verdict:
    store = environment.get("ROS_SECURITY_KEYSTORE", "")
    if value != "Enforce" or environment.get("ROS_SECURITY_ENABLE") != "true":
        return None
    if store and Path(store).is_dir():
        return None
    return "ROS_SECURITY_KEYSTORE names no folder of keys", "unset ROS_SECURITY_ENABLE"


def _drawing(value: str, _: Mapping[str, str]) -> Verdict:
    known = *offscreen.GL_BACKENDS, *offscreen.NEEDS_SCREEN
    every = *known, *offscreen.UNDECIDED, *offscreen.SWITCHED_OFF
    if value.lower().strip() in every:
        return None
    return f"it is one of {', '.join(known)}", "mend or unset it"


def _threads(value: str, _: Mapping[str, str]) -> Verdict:
    if re.fullmatch(r"\s*[1-9]\d{0,5}\s*(,\s*[1-9]\d{0,5}\s*)*", value) or not value.strip():
        return None
    return "it is a number of threads", "mend or unset it", False


CHECKS: dict[str, Callable[[str, Mapping[str, str]], Verdict]] = {
    "ROS_DOMAIN_ID": _domain,
    "RMW_IMPLEMENTATION": _middleware,
    "RCL_ASSERT_RMW_ID_MATCHES": _same_middleware,
    "RCUTILS_LOGGING_USE_STDOUT": _flag,
    "RCUTILS_LOGGING_BUFFERED_STREAM": _flag,
    "RCUTILS_COLORIZED_OUTPUT": _flag,
    "RMW_FASTRTPS_PUBLICATION_MODE": _mode,
    "ROS_AUTOMATIC_DISCOVERY_RANGE": _range,
    "ROS_LOCALHOST_ONLY": _localhost_only,
    "ROS_STATIC_PEERS": _peers,
    "ROS_DISCOVERY_SERVER": _server,
    "FASTRTPS_DEFAULT_PROFILES_FILE": _profiles,
    "FASTDDS_DEFAULT_PROFILES_FILE": _profiles,
    "ROS_SECURITY_STRATEGY": _security,
    "MUJOCO_GL": _drawing,
    "OMP_NUM_THREADS": _threads,
}
"""Check of each variable: takes its value and the whole environment, returns the problem."""


def _log_folder(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the folder that every node writes its log to: rcl_logging, "logging directory"."""
    if given := environment.get("ROS_LOG_DIR"):
        name, value, folder = "ROS_LOG_DIR", given, Path(given)
    elif given := environment.get("ROS_HOME"):
        name, value, folder = "ROS_HOME", given, Path(given, "log")
    else:
        given = environment.get("HOME", "")
        name, value, folder = "HOME", given, Path(given, ".ros", "log")
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        usable = bool(given) and os.access(folder, os.W_OK | os.X_OK)
        reason = "" if usable else "no writing there"
    except (OSError, RuntimeError, ValueError) as error:
        usable, reason = False, getattr(error, "strerror", None) or str(error)
    if not usable:
        problem = f"nodes cannot write their logs to {folder} ({reason})"
        yield Finding(name, value, problem, "set ROS_LOG_DIR to a folder that can be written")
