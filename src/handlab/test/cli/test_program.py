"""Whatever is typed, the answer is one line: no traceback, and nothing is written.

All verbs and options are found by asking the command line itself, so that a new option is tried as
well. Verbs run in this process up to the point where something would start.
"""

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest
import rclpy
import typer
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlab.benches import runner
from handlab.benches.table import BENCHES
from handlab.cli import program as cli
from handlab.cli.machine.bench import bench_command
from handlab.emulation import emulated_hands
from handlab.operation import operated_hand
from handlab.teaching import gait_search
from handlab_core.errors import HandlabError
from handlab_core.system.paths import share
from handlab_hardware.station_file import load_station, station_path
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Progress, Trainer
from handlab_sim.backend import MujocoBackend
from handlab_sim.torque_world import TorqueWorld


class Started(BaseException):
    """Everything that was typed was accepted."""


def refuse_to_start(*_, **__):
    raise Started


STARTS = [
    (subprocess.Popen, "__init__"),
    (ProcessPoolExecutor, "__init__"),
    (Trainer, "run"),
    (MujocoBackend, "__init__"),
    (TorqueWorld, "__init__"),
    (emulated_hands, "serve"),
    (gait_search.GaitSearch, "__init__"),
    (runner, "run_bench"),
    (rclpy, "init"),
    (operated_hand, "chosen_graph"),
]
"""Where a verb leaves this process, or begins to compute."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run that took no time."""
    config = RunConfig(backend="sim", settings={"hidden": [4]})
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), config, datetime(2026, 1, 2))
    task = config.make_task()
    algorithm = make_algorithm("npg", task.spaces, config.algorithm_config(), 0)
    state, progress = algorithm.state_dict(), asdict(Progress(iteration=1))
    checkpoint.save(folder.checkpoints, 1, task, algorithm.policy(), state, progress)
    rates = {"success_rate": 0.5, "strict_success_rate": 0.0}
    row = {"iteration": 1, "robot_hours": 0.1, "evaluation": rates | {"mean_return": 0.0}}
    folder.metrics_path.write_text(json.dumps(row) + "\n")
    never = {"robot_hours_to_success": None, "robot_hours_to_strict_success": None}
    folder.write_summary(
        rates | never | {"task": "valve", "algorithm": "npg", "backend": "sim", "seed": 0,
        "iterations": 1, "evaluation_episodes": 30, "robot_hours": 0.1, "wall_s": 1.0,
        "run_dir": str(folder.path), "mean_return": 0.0},
    )  # fmt: skip
    return folder.path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with a file, a folder, and a folder that may not be written to."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "file").write_bytes(b"\xff\x00: [")
    (folder / "folder").mkdir()
    (folder / "closed").mkdir(mode=0o500)
    return folder


@pytest.fixture
def typed(place, run):
    """The function that types a command line: exit code, lines on standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for owner, name in STARTS:
            patch.setattr(owner, name, refuse_to_start)
        yield type_line


def type_line(words, capsys):
    """Type a command line and check what every answer must be."""
    before = listing(Path.cwd())
    code = 0
    with suppress(Started):
        code = cli.run(words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    if code in (1, 2):
        lines = [line for line in said.err.splitlines() if line.startswith("handlab: ")]
        assert len(lines) == 1 and said.err.splitlines()[-1] == lines[0], said.err
        assert len(lines[0]) < 1000, lines[0]
        assert listing(Path.cwd()) == before, "something was written"
        return lines[0]
    assert code == 0, code
    for path in set(listing(Path.cwd())) - set(before):
        shutil.rmtree(path, ignore_errors=True)
    return ""


def listing(folder):
    return sorted(path for path in folder.rglob("*"))


def commands():
    return typer.main.get_command(cli.make_app()).commands


def parameters():
    """Verb and parameter, of all that take a value; benches with options of their own are verbs."""
    for verb, known in commands().items():
        for parameter in known.params:
            if not getattr(parameter, "is_flag", False):
                yield pytest.param(verb, parameter, id=f"{verb} {parameter.name}")
    for name in [name for name, known in BENCHES.items() if known.options]:
        for parameter in bench_command(name, BENCHES[name]).params:
            if not getattr(parameter, "is_flag", False):
                yield pytest.param(f"bench {name}", parameter, id=f"bench {name} {parameter.name}")


def needed(verb, run, without=""):
    """Values of a verb's arguments, so that it would start."""
    values = {"task": "valve", "checkpoint": str(run), "run": str(run), "runs": str(run),
              "wire": "dynamixel", "hand": "claw", "state": "off", "joint": "FFJ10",
              "station": "claw",
              "bag": str(share() / "demos" / "valve")}  # fmt: skip
    return [
        values[p.name]
        for p in getattr(commands().get(verb), "params", ())
        if p.param_type_name == "argument" and p.name != without
    ]


NUMBERS = ["-1", "0", "1", "7", "1.5", "1e300", "-1e300", "nan", "inf", "-inf", "1e-320",
           str(2**31), str(2**63), str(2**64), "-" + "9" * 30, "9" * 5000, "0x10", "1_0", " 1",
           "", "one", "true", "٣", "1,000"]  # fmt: skip
TEXTS = ["", " ", "x", "-", "--", "~", "~nobody/x", "a\nb", "\x1b[31m", "\u202e", "💥" * 20,
         "\udcff", "x" * 300, "x/" * 3000, "..", "/", "*", "[red]", "${HOME}", "'; ls", "%s",
         "{0}", "a=b", "kl=[1", "kl=nan", "hidden=[0]", "seed=2026-01-02", "kl=*a",
         "object.mass=nan", "object.mass=1:2:3", "object.mass=2:1", "emulated"]  # fmt: skip
PATHS = ["file", "folder", "closed/x", "file/x", "/proc/self/mem", "/proc/x", "/dev/null",
         "/dev/full/x", "/root/../x" * 10]  # fmt: skip
VALUES = st.sampled_from(NUMBERS + TEXTS + PATHS) | st.text(max_size=12)


@pytest.mark.parametrize(("verb", "parameter"), list(parameters()))
def test_any_value_of_any_option_is_taken_or_refused_with_one_line(
    verb, parameter, typed, run, capsys
):
    is_option = parameter.param_type_name == "option"

    @settings(
        max_examples=int(os.environ.get("HANDLAB_EXAMPLES", "12")), deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck), database=None,
    )  # fmt: skip
    @given(VALUES)
    def try_value(value):
        words = needed(verb, run, without=parameter.name)
        if is_option:
            typed([*verb.split(), *words, f"{parameter.opts[0]}={value}"], capsys)
        else:
            typed([verb, *words, "--", value], capsys)

    try_value()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/file"), "/a/file: No space left"),
        (HandlabError("the learner says \x1b[2J\r"), r"the learner says \x1b[2J\r"),
        (PermissionError(errno.EACCES, "Permission denied", "x" * 500), "Permission denied"),
        (OSError("odd"), "odd"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "not UTF-8"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), "not UTF-8"),
        (MemoryError(), "not enough memory"),
        (RecursionError("maximum recursion depth"), "nested too deeply"),
    ],
)
def test_a_failure_of_the_machine_is_one_line(monkeypatch, capsys, error, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli, "make_app", lambda verbs: fail)
    code = cli.run(["tasks"])
    [line] = capsys.readouterr().err.splitlines()
    assert code == 1 and line.startswith("handlab: ") and words in line


def test_a_reader_that_leaves_ends_a_verb_without_a_word():
    process = subprocess.Popen(
        [sys.executable, "-m", "handlab.cli", "tasks"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 1
    process.stderr.close()


def test_usage_names_the_command_that_users_type(capsys):
    for words, expected in (
        (["train", "--help"], "Usage: ./handlab train [OPTIONS]"),
        ([], "Usage: ./handlab [OPTIONS] COMMAND"),
        (["train", "--nope"], "see ./handlab train --help"),
        (["nope"], "see ./handlab --help"),
        (["up"], "Missing argument 'task'"),
    ):
        code = cli.run(words)
        said = capsys.readouterr()
        assert expected in said.out + said.err
        assert code == (2 if said.err else 0)


def test_the_version_is_that_of_the_package(capsys):
    code = cli.run(["--version"])
    version = capsys.readouterr().out.split()[-1]
    manifest = (share() / "src" / "handlab" / "package.xml").read_text()
    assert code == 0 and f"<version>{version}</version>" in manifest


def test_a_printed_command_can_be_pasted_whatever_the_path(run, tmp_path, monkeypatch, capsys):
    odd = tmp_path / ("a [bold] path; with 'quotes' " + "and words " * 12)
    shutil.copytree(run, odd)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run", interrupted)
    code = cli.run(["train", "--resume", str(odd)])
    assert code == 130
    [line] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("go on with: ")]
    words = shlex.split(line.removeprefix("go on with: "))
    assert words == ["./handlab", "train", "--resume", str(odd)]


def test_a_comparison_writes_nothing_unless_asked(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in (["compare", str(run)], ["compare", str(run), "--output", "curves.png"]):
        code = cli.run(words)
        assert code == 0
        wanted = [tmp_path / "curves.png"] if "--output" in words else []
        assert listing(tmp_path) == wanted


STATIONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.lists(st.sampled_from(["dynamixel", "servos", "FFJ10", "zero", "id", "port", "hand"])),
       STATIONS)  # fmt: skip
def test_any_station_file_is_taken_or_refused_with_one_line(tmp_path, way, value):
    facts = yaml.safe_load(station_path("claw").read_text())
    inner = facts
    for name in way[:-1]:
        inner = inner[name] if isinstance(inner, dict) and name in inner else facts
    if isinstance(inner, dict) and way:
        inner[way[-1]] = value
    else:
        facts = value
    path = tmp_path / "station.yaml"
    path.write_text(yaml.safe_dump(facts))
    try:
        load_station(path)
    except HandlabError as error:
        assert "\n" not in str(error) and str(path) in str(error)


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    st.sampled_from(["config.yaml", "metrics.jsonl", "summary.json", "checkpoints/000001.json",
                     "checkpoints/000001.safetensors"]),
    st.floats(0, 1),
    st.binary(max_size=20) | st.sampled_from([b"NaN", b"-1", b"9" * 5000, b"[" * 999]),
    st.booleans(),
)  # fmt: skip
def test_any_damage_of_a_run_is_refused_with_one_line_or_harmless(
    run, typed, tmp_path, capsys, name, where, bytes_, cut
):
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    content = (folder / name).read_bytes()
    at = int(where * len(content))
    (folder / name).write_bytes(content[:at] + bytes_ + (b"" if cut else content[at + 5 :]))
    for words in (["train", "--resume"], ["evaluate"], ["compare"]):
        typed([*words, str(folder)], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "valv"], "unknown task 'valv'; there is: "),
        (
            ["train", "valve", "--algorithm", "sac"],
            "unknown algorithm 'sac'; there is: bc, dapg, local_models, mpc, npg, ppo, ",
        ),
        (["train", "valve", "--backend", "x"], "unknown backend 'x'; there is: graph, sim"),
        (["train", "valve", "--set", "gama=1"], "gamma"),
        (
            ["up", "valve", "--hardware", "x"],
            "unknown hardware 'x'; there is: allegro, dynamixel, mujoco",
        ),
        (["up", "valve", "--pace", "x"], "unknown pace 'x'; there is: lockstep, real"),
        (["up", "valve", "--rate", "0"], "'--rate': it is 0.0; it must be greater than 0"),
        (["train", "--resume", "nowhere"], "no run folder"),
        (["evaluate", "nowhere"], "no checkpoint"),
        (["report", "nowhere"], "there is no run folder"),
        (["bench", "x"], "unknown bench 'x'; there is: adroit, bus, "),
        (["train"], "name a task"),
    ],
)
def test_bad_words_get_one_clear_sentence(tmp_path, words, message, cli):
    process = cli(*words, cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (1, 2)
    assert message in said and "Traceback" not in said
    assert not list(tmp_path.rglob("config.yaml"))


def test_lists_and_help_read_well(tmp_path, cli):
    for words, expected in ((["tasks"], "valve"), (["hands"], "FFJ10"), (["--help"], "demo")):
        process = cli(*words, cwd=tmp_path)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and expected in out
