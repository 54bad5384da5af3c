"""Variables of a shell's profile, and who reaches a graph."""

import os
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from handlab.graph import ros_environment
from handlab.graph.ros_domain import Domain
from handlab.machine import checks
from handlab_core.errors import BadConfig
from handlab_core.system.paths import share

WRITER = "{http://www.eprosima.com}data_writer"
PROFILE = str(share() / "config" / "dds" / "loopback.xml")
OURS = {*ros_environment.CHECKS, *ros_environment.ABOUT_NETWORK, "HANDLAB_NETWORK"}
OURS |= {"ROS_LOG_DIR", "ROS_HOME", "ROS_SECURITY_ENABLE", "ROS_SECURITY_KEYSTORE"}
CLEAN = {name: value for name, value in os.environ.items() if name not in OURS}


@pytest.fixture
def shell(monkeypatch):
    """Set the variables of a shell whose profile sets nothing else."""

    def shell(**variables):
        for name in OURS:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    shell()
    return shell


FATAL = [
    ("ROS_DOMAIN_ID", "my robot", "0 to 232"),
    ("ROS_DOMAIN_ID", "-1", "0 to 232"),
    ("ROS_DOMAIN_ID", "233", "0 to 232"),
    ("ROS_DOMAIN_ID", "1e1", "0 to 232"),
    ("ROS_DOMAIN_ID", "9" * 5000, "0 to 232"),
    ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp", "not installed.*unset it"),
    ("RMW_IMPLEMENTATION", "../x", "not installed"),
    ("RCL_ASSERT_RMW_ID_MATCHES", "rmw_zenoh_cpp", "rmw_fastrtps_cpp"),
    ("ROS_LOG_DIR", "/proc/nothing", "logs"),
    ("ROS_LOG_DIR", "/dev/null", "logs"),
    ("ROS_HOME", "/proc/nothing", "logs"),
    ("HOME", "/proc/nothing", "set ROS_LOG_DIR"),
    ("RCUTILS_LOGGING_USE_STDOUT", "yes", "0 or 1"),
    ("RCUTILS_LOGGING_BUFFERED_STREAM", "2", "0 or 1"),
    ("RCUTILS_COLORIZED_OUTPUT", "on", "0 or 1"),
    ("MUJOCO_GL", "vulkan", "egl, osmesa"),
    ("HANDLAB_NETWORK", "yes", "0 or 1"),
]
FATAL_ON_THE_NETWORK = [
    ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF", "hear"),
    ("ROS_AUTOMATIC_DISCOVERY_RANGE", "everywhere", "SUBNET"),
    ("ROS_LOCALHOST_ONLY", "1", "contradicts"),
    ("ROS_LOCALHOST_ONLY", "x", "0 or 1"),
    ("ROS_STATIC_PEERS", "10.0.0.1;no name.invalid", "no name"),
    ("ROS_DISCOVERY_SERVER", "a server", "address:port"),
    ("FASTRTPS_DEFAULT_PROFILES_FILE", "/nothing.xml", "profiles"),
    ("FASTDDS_DEFAULT_PROFILES_FILE", __file__, "profiles"),
]


@pytest.mark.parametrize(("name", "value", "message"), FATAL)
def test_what_no_node_survives_is_refused_before_anything_starts(shell, name, value, message):
    shell(**{name: value})
    with pytest.raises(BadConfig, match=f"(?s){name}.*{message}") as caught:
        Domain()
    assert "\n" not in str(caught.value)
    bad = [check for check in checks._environment() if not check.ok]
    assert [(check.name, check.needed) for check in bad] == [(name, True)]


@pytest.mark.parametrize(("name", "value", "message"), FATAL_ON_THE_NETWORK)
def test_settings_of_the_network_hold_where_it_is_asked_for_and_must_be_right(
    shell, capsys, name, value, message
):
    shell(**{name: value, "HANDLAB_NETWORK": "1"})
    with pytest.raises(BadConfig, match=f"{name}.*{message}"):
        ros_environment.prepare()
    shell(**{name: value})
    ros_environment.prepare()  # bound to this machine, none of them counts
    said = capsys.readouterr().err
    assert said == ("" if (name, value) in ros_environment.HARMLESS else
                    f"handlab: not used without --network: {name}\n")  # fmt: skip


def test_a_graph_is_bound_to_this_machine_and_says_what_it_does_not_use(shell, capsys):
    shell(ROS_DISCOVERY_SERVER="10.0.0.1:11811", ROS_STATIC_PEERS="10.0.0.2", ROS_DOMAIN_ID="7")
    domain = Domain()
    assert domain.id == 7
    assert capsys.readouterr().err.count("ROS_STATIC_PEERS, ROS_DISCOVERY_SERVER") == 1
    assert "ROS_DISCOVERY_SERVER" not in os.environ and "ROS_STATIC_PEERS" not in os.environ
    assert os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] == PROFILE
    ros_environment.prepare()  # a second graph of the same process
    assert capsys.readouterr().err == ""
    assert checks._environment()[0].ok


@pytest.mark.parametrize(
    ("library", "names"),
    [
        ("libfastrtps.so", {"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"}),
        ("libfastdds.so", {"FASTDDS_DEFAULT_PROFILES_FILE"}),
    ],
    ids=["Jazzy", "Kilted"],
)
def test_each_distributions_fast_dds_is_bound_by_a_variable_that_it_reads(
    shell, monkeypatch, tmp_path, library, names
):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    (tmp_path / library).touch()
    shell(AMENT_PREFIX_PATH="", LD_LIBRARY_PATH=str(tmp_path))
    assert {name for name in ros_environment.loopback() if name.startswith("FAST")} == names


def test_both_versions_of_fast_dds_are_bound_alike():
    """Their profiles differ in the timer of writers alone."""

    def parts(name):
        text = (share() / "config" / "dds" / name).read_text()
        return {ElementTree.canonicalize(text, strip_text=True, exclude_tags=[WRITER])}, text

    (three, _), (two, text) = parts("loopback.xml"), parts("loopback_2.xml")
    assert two == three and "<data_writer" in text
    profiles = ros_environment.loopback().get("FASTRTPS_DEFAULT_PROFILES_FILE", "loopback_2.xml")
    assert Path(profiles).name == "loopback_2.xml"


def test_the_network_is_left_as_the_shell_has_it_where_it_is_asked_for(shell, capsys):
    peers, servers = "127.0.0.1", ";127.0.0.1:11811"
    shell(HANDLAB_NETWORK="1", ROS_STATIC_PEERS=peers, ROS_DISCOVERY_SERVER=servers)
    ros_environment.prepare()
    assert os.environ["ROS_STATIC_PEERS"] == "127.0.0.1"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in os.environ and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROS_DOMAIN_ID", "150"),
        ("OMP_NUM_THREADS", "many"),
        ("RMW_FASTRTPS_PUBLICATION_MODE", "x"),
        ("ROS_DISCOVERY_SERVER", "127.0.0.1:11811"),
    ],
)
def test_what_only_disturbs_is_found_by_the_doctor(shell, name, value):
    shell(**{name: value})
    assert [(c.name, c.ok, c.needed) for c in checks._environment()] == [(name, False, False)]
    Domain().release()


def test_another_middleware_is_refused_where_only_fast_dds_is_bound(shell, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "librmw_cyclonedds_cpp.so").touch()
    prefixes = f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}"
    shell(RMW_IMPLEMENTATION="rmw_cyclonedds_cpp", AMENT_PREFIX_PATH=prefixes)
    with pytest.raises(BadConfig, match=r"Fast DDS.*--network"):
        ros_environment.prepare()
    os.environ["HANDLAB_NETWORK"] = "1"
    ros_environment.prepare()


NASTY = {
    "ROS_DISCOVERY_SERVER": "10.255.255.1:11811",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF",
    "ROS_STATIC_PEERS": "no name.invalid",
    "FASTDDS_BUILTIN_TRANSPORTS": "UDPv6",
    "FASTRTPS_DEFAULT_PROFILES_FILE": __file__,
    "ROS_LOCALHOST_ONLY": "x",
    "OMP_NUM_THREADS": "many",
    "MPLBACKEND": "none",
}


def test_a_graph_works_under_settings_of_the_network_that_keep_nodes_apart():
    step = (
        "import gymnasium, handlab.gym\n"
        "env = gymnasium.make('handlab/ClawValve-v0', backend='graph')\n"
        "env.reset(seed=0)\nprint(env.step(env.action_space.sample())[1])\nenv.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", step], env=CLEAN | NASTY, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0 and float(done.stdout) < 0, done.stderr
    assert "not used without --network: ROS_AUTOMATIC_DISCOVERY_RANGE, ROS_STATIC" in done.stderr


@pytest.mark.parametrize(
    "words", [("up", "pose"), ("train", "pose"), ("view",), ("test",)], ids=" ".join
)
def test_every_verb_that_starts_a_graph_ends_with_one_line(words, tmp_path):
    environment = CLEAN | {"ROS_DOMAIN_ID": "x", "RMW_IMPLEMENTATION": "y"}
    done = subprocess.run(
        [sys.executable, "-m", "handlab.cli", *words],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "ROS_DOMAIN_ID=x" in last and "RMW_IMPLEMENTATION=y" in last


def test_the_doctor_survives_what_it_finds():
    environment = CLEAN | {"RMW_IMPLEMENTATION": "y", "MUJOCO_GL": "z", "ROS_LOG_DIR": "/proc/x"}
    done = subprocess.run(
        [sys.executable, "-m", "handlab.cli", "doctor"],
        env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    assert all(f"BAD  {name}" in done.stdout for name in ("RMW_IMPL", "MUJOCO_GL", "ROS_LOG_DIR"))


def test_modules_of_another_python_are_kept_out(tmp_path):
    (tmp_path / "rclpy.py").write_text("raise SystemError('another rclpy')")
    (tmp_path / "numpy.py").write_text("raise SystemError('another numpy')")
    environment = CLEAN | {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path)}
    environment.pop("ROS_DISTRO", None)
    done = subprocess.run(
        [share() / "handlab", "tasks"], env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0 and "valve" in done.stdout, done.stderr


# Another machine ----------------------------------------------------------------------------------

STRANGER = """
import sys, time, rclpy
rclpy.init()
node = rclpy.create_node("stranger")
end = time.monotonic() + float(sys.argv[1])
names = set()
while time.monotonic() < end and not {"driver", "runner"} <= names:
    rclpy.spin_once(node, timeout_sec=0.2)
    names = set(node.get_node_names())
print(*sorted(names))
"""


@pytest.fixture
def elsewhere():
    """Make a second network namespace, joined to this one by a cable: another machine."""
    name = f"handlab{uuid.uuid4().hex[:6]}"
    cable, far = f"{name[-7:]}a", f"{name[-7:]}b"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace can be made, which takes root: {made.stderr.strip()}")
    network = f"10.213.{int(name[-2:], 16)}"  # another run of this test has another one
    try:
        for words in (
            f"ip link add {cable} type veth peer name {far} netns {name}",
            f"ip addr add {network}.1/24 dev {cable}",
            f"ip link set {cable} up",
            f"ip -n {name} addr add {network}.2/24 dev {far}",
            f"ip -n {name} link set {far} up",
            f"ip -n {name} link set lo up",
        ):
            subprocess.run(words.split(), check=True)
        yield name, f"{network}.1"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def domains(shell):
    """Two ROS domains that no other graph of this machine has."""
    claimed = Domain(), Domain()
    yield [domain.id for domain in claimed]
    for domain in claimed:
        domain.release()


@pytest.mark.skipif(not Path("/sbin/ip").exists() and not Path("/usr/sbin/ip").exists(),
                    reason="iproute2 is not installed")  # fmt: skip
@pytest.mark.timeout(300)
def test_another_machine_reaches_a_graph_only_if_it_is_asked_for(elsewhere, domains, tmp_path):
    """It names this host as its static peer, which range LOCALHOST alone does not keep out."""
    (namespace, here), (bound, networked) = elsewhere, domains
    graphs, found = [], []
    try:
        for number, options in ((bound, []), (networked, ["--network"])):
            graphs.append(subprocess.Popen(
                [sys.executable, "-m", "handlab.cli", "up", "pose", *options],
                env=CLEAN | {"ROS_DOMAIN_ID": str(number)}, cwd=tmp_path,
                stdout=subprocess.DEVNULL,
            ))  # fmt: skip
        # The bound graph has started when a tool of this machine has seen it.
        seen = subprocess.run(
            [sys.executable, "-c", STRANGER, "60"],
            env=CLEAN | {"ROS_DOMAIN_ID": str(bound)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        for number, patience in ((networked, 60), (bound, 5)):
            environment = CLEAN | {"ROS_DOMAIN_ID": str(number), "ROS_STATIC_PEERS": here}
            found.append(subprocess.run(
                ["ip", "netns", "exec", namespace, sys.executable, "-c", STRANGER, str(patience)],
                env=environment, capture_output=True, text=True, timeout=120, check=True,
            ).stdout.split())  # fmt: skip
    finally:
        for graph in graphs:
            graph.terminate()
        for graph in graphs:
            graph.wait(60)
    assert {"driver", "runner"} <= set(seen.stdout.split())
    assert {"driver", "runner"} <= set(found[0])
    assert found[1] == ["stranger"]


def test_libraries_are_compiled_once_whatever_the_shell_says(tmp_path):
    environment = CLEAN | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("ROS_DISTRO", None)
    words = [share() / "handlab", "tasks"]
    subprocess.run(words, env=environment, capture_output=True, timeout=100, check=True)
    assert list(tmp_path.rglob("*.pyc"))
