"""CONTRIBUTING.md says where new things go: a copy gets one of each kind, and finds them."""

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch

import pytest

from handlab_core.system.paths import share

ROOT = share()

TASK = """
from dataclasses import replace

from handlab_core.rewards import terms
from handlab_core.rewards.reward import Term
from handlab_core.tasks.task import TASKS, Task
from handlab_core.tasks.valve import valve

REWARDS = {"plain": (Term("distance", -1.0, terms.distance), Term("turning", 1.0, terms.turning))}


@TASKS.register
def crank() -> Task:
    return replace(
        valve(), name="crank", hand_name="grip", fixture_name="wheel", steps=6, rewards=REWARDS,
        reward="plain", reset="patient",
    )
"""


def page_task():
    """Return the path and the text of the task in docs/own_task.md."""
    page = (ROOT / "docs" / "own_task.md").read_text()
    [path] = re.findall(r"`(src/\S+/tasks/\w+\.py)`", page)
    [text] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return path, text


ESTIMATOR = """
from handlab_core.estimation.encoder import EncoderFollower
from handlab_core.estimation.estimator_table import ESTIMATORS, EstimatorSpec


@ESTIMATORS.register
def trusting() -> EstimatorSpec:
    return EstimatorSpec(EncoderFollower)
"""

RESET = """
from handlab_core.reset.motor import MotorReset
from handlab_core.reset.procedure import RESETS, BuildReset


@RESETS.register
def patient() -> BuildReset:
    return MotorReset
"""

ALGORITHM = """
from handlab_learning.algorithms.algorithm import Method, algorithm
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.models.wide_network import WideNetwork  # noqa: F401


class Careful(Npg):
    def __init__(self, spaces, config, seed, demonstrations=()):
        super().__init__(spaces, config, seed)


algorithm("careful", Method(NpgConfig, Careful, demonstrations=False))
"""

NETWORK = """
from handlab_learning.models.policy_network import PolicyNet


class WideNetwork(PolicyNet):
    pass
"""

NODE = """
from rclpy.node import Node

from handlab_nodes.runtime.event_loop import run


class EchoNode(Node):
    def __init__(self) -> None:
        super().__init__("echo")


def main(args=None):
    run(EchoNode, args=args)
"""

BENCH = '''
from handlab.benches.result import Bench, Result


def measure(seed: int) -> Result:
    """Measure nothing."""
    return Result(1.0, 2.0, "units")


BENCH = Bench(measure)
'''

VERB = '''
def wave() -> None:
    """Greet."""
    print("waved")
'''

XACRO = "urdf/claw/claw.urdf.xacro"
CORE, LEARNING, NODES, APP = (
    f"src/{name}/{name}"
    for name in ("handlab_core", "handlab_learning", "handlab_nodes", "handlab")
)

NEW = {
    "hand": {
        f"{CORE}/hands/grip.py": lambda: (
            read(f"{CORE}/hands/claw.py")
            .replace("def claw()", "def grip()")
            .replace('name="claw"', 'name="grip"')
            .replace("claw/claw.urdf", "grip/grip.urdf")
        ),
        "urdf/grip/grip.urdf.xacro": lambda: read(XACRO),
    },
    "object": {
        "urdf/objects/wheel.urdf.xacro": lambda: read("urdf/objects/valve.urdf.xacro"),
        f"{CORE}/objects/fixture.py": lambda: (
            read(f"{CORE}/objects/fixture.py")
            + '\n\n@FIXTURES.register\ndef wheel() -> Fixture:\n    """Build a wheel."""\n'
            '    return replace(valve(), name="wheel", urdf="objects/wheel.urdf.xacro")\n'
        ),
    },
    "task": {f"{CORE}/tasks/crank.py": lambda: TASK, page_task()[0]: lambda: page_task()[1]},
    "launch file": {
        "launch/crank.launch.py": lambda: read("launch/valve.launch.py").replace("valve", "crank")
    },
    "reward term": {
        f"{CORE}/rewards/terms.py": lambda: (
            read(f"{CORE}/rewards/terms.py")
            + '\n\ndef turning(x: Quantities) -> Array:\n    """Return the speed. (...)."""\n'
            "    return np.abs(x.object_velocity)\n"
        )
    },
    "estimator": {f"{CORE}/estimation/trusting.py": lambda: ESTIMATOR},
    "reset": {f"{CORE}/reset/patient.py": lambda: RESET},
    "algorithm": {f"{LEARNING}/algorithms/careful.py": lambda: ALGORITHM},
    "policy network": {f"{LEARNING}/models/wide_network.py": lambda: NETWORK},
    "backend": {
        "src/handlab_sim/handlab_sim/still.py": lambda: (
            "from handlab_sim.backend import make_backend  # noqa: F401\n"
        ),
        f"{CORE}/hardware/backend_table.py": lambda: edited(
            f"{CORE}/hardware/backend_table.py",
            "BACKENDS = {",
            '    "still": BackendSpec("handlab_sim.still:make_backend", simulated=True),',
        ),
    },
    "node": {
        f"{NODES}/nodes/echo_node.py": lambda: NODE,
        "src/handlab_nodes/setup.cfg": lambda: edited(
            "src/handlab_nodes/setup.cfg",
            "console_scripts =",
            "    echo_node = handlab_nodes.nodes.echo_node:main",
        ),
        f"{APP}/graph/config.py": lambda: edited(
            f"{APP}/graph/config.py", 'NodeSpec("driver", driver', '        NodeSpec("echo"),'
        ),
    },
    "bench": {
        f"{APP}/benches/running/three.py": lambda: BENCH,
        f"{APP}/benches/table.py": lambda: edited(
            f"{APP}/benches/table.py", "BENCHES = {", '    "three": three.BENCH,'
        ).replace("benches.running import (", "benches.running import (\n    three,", 1),
    },
    "verb": {
        f"{APP}/cli/machine/wave.py": lambda: VERB,
        f"{APP}/cli/program.py": lambda: edited(
            f"{APP}/cli/program.py", "VERBS = {", '    "wave": "machine",'
        ),
    },
    "option of a station": {
        f"{CORE}/options.py": lambda: edited(
            f"{CORE}/options.py",
            '    """The progress of time."""',
            "    patience: Annotated[\n"
            '        Positive, Field(description="s; patience")\n    ] = 1.0',
        )
    },
}
"""Kind to files: path in the repository, and a function that gives the new content."""

FINDS = """
import json
from importlib import import_module

from handlab.benches.table import BENCHES
from handlab.experiments.task_kinds import local_sampler
from handlab.graph.config import GraphConfig, build_graph
from handlab_core.environment.episode import EpisodePlan
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.hands import HANDS
from handlab_core.hardware.backend_table import BACKENDS
from handlab_core.objects.fixture import FIXTURES
from handlab_core.reset.procedure import RESETS
from handlab_core.tasks import TASKS, make_task
from handlab_learning.algorithms import ALGORITHMS, make_algorithm
from handlab_learning.runs.config import RunConfig

run = RunConfig("crank", algorithm="careful", estimator="trusting")
task = make_task("crank")
policy = make_algorithm("careful", task.spaces, run.algorithm_config(), 0).policy()
sampler = local_sampler(task, 1, 1, "trusting", hardware="still")
[episode] = sampler.sample(policy, EpisodePlan(0, [0]))
nodes = {node.name: node.module for node in build_graph(GraphConfig("crank"))}
quarter = make_task("quarter")
[turn] = local_sampler(quarter, 1, 1).sample(
    make_algorithm(
        "rlpd", quarter.spaces, RunConfig("quarter", algorithm="rlpd").algorithm_config(), 0
    ).policy(),
    EpisodePlan(0, [0]),
)
print(json.dumps({
    "task of the page": turn.steps == 60 and quarter.reward_terms[0] == "distance",
    "hand": "grip" in HANDS, "object": "wheel" in FIXTURES, "task": "crank" in TASKS,
    "estimator": "trusting" in ESTIMATORS, "reset": "patient" in RESETS,
    "algorithm": "careful" in ALGORITHMS, "backend": "still" in BACKENDS,
    "bench": "three" in BENCHES, "node": callable(import_module(nodes["echo"]).main),
    "reward term": list(task.reward_terms), "steps": episode.steps,
    "option": GraphConfig("crank", patience=2.0).patience,
}))
"""


def read(name):
    return (ROOT / name).read_text()


def edited(name, anchor, line):
    """Return a file's text with a line added after the line that contains a text."""
    text = read(name)
    assert text.count(anchor) == 1, (name, anchor)
    end = text.index("\n", text.index(anchor)) + 1
    return f"{text[:end]}{line}\n{text[end:]}"


def rows():
    """Return the table of CONTRIBUTING.md: kind to the paths that its row names."""
    section = read("CONTRIBUTING.md").split("## Where do I put a new ...")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| a new"):
            kind, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            names = re.findall(r"`([^`]*/[^`]*)`", " ".join(cells))
            found[kind] = [re.sub(r"<[^>]*>", "*", name) for name in names]
    return found


def allowed(path, patterns):
    """Return whether a path fits one of the patterns, which may leave `src/<package>/` out."""
    whole = [f"{folder}{p}{end}" for p in patterns for folder in ("", "src/") for end in ("", "*")]
    whole += [f"src/{p.split('/')[0]}/{p}" for p in patterns]
    return any(fnmatch(path, pattern) for pattern in whole)


def test_every_row_of_the_table_is_tried():
    assert set(rows()) == set(NEW)


@pytest.mark.parametrize("kind", sorted(NEW))
def test_a_new_thing_needs_the_files_of_its_row_only(kind):
    for path in NEW[kind]:
        assert allowed(path, rows()[kind]), (path, rows()[kind])


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with one more thing of each kind, and its environment."""
    folder = tmp_path_factory.mktemp("copy")
    leave = shutil.ignore_patterns("test", "__pycache__", "*.egg-info")
    for name in ("src", "urdf", "launch", "config", "demos", "policies"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    for files in NEW.values():
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content())
    packages = [p for p in sorted((folder / "src").iterdir()) if (p / "setup.py").is_file()]
    path = os.pathsep.join(map(str, [*packages, os.environ.get("PYTHONPATH", "")])).strip(":")
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info"], cwd=folder / "src" / "handlab_nodes",
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return folder, environment


def output(copy, *words):
    folder, environment = copy
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_of_each_kind_is_found_and_runs(copy):
    found = json.loads(output(copy, "-c", FINDS).splitlines()[-1])
    assert found.pop("reward term") == ["distance", "turning"]
    assert found.pop("steps") == 6 and found.pop("option") == 2.0
    assert all(found.values()), found


def test_the_command_line_has_them(copy):
    assert "crank" in output(copy, "-m", "handlab.cli", "tasks")
    assert "grip" in output(copy, "-m", "handlab.cli", "hands")
    assert output(copy, "-m", "handlab.cli", "wave") == "waved\n"
    assert "three: 1 units" in output(copy, "-m", "handlab.cli", "bench", "three")
    assert "--patience" in output(copy, "-m", "handlab.cli", "up", "--help")
