"""The application as a user meets it: processes, verbs, a whole small run."""

import json
import signal
import subprocess
import sys
import time

import av
import numpy as np
import psutil
import pytest
from matplotlib.image import imread
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader

from handlab.experiments import evaluation, training
from handlab.graph.config import GraphConfig, build_graph
from handlab.graph.ros_domain import Domain
from handlab.reporting import generated_tables, run_report
from handlab_core.errors import UnknownName
from handlab_core.options import EMULATED
from handlab_core.system.paths import share
from handlab_hardware.station_file import station_path
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}


STARTED = []


@pytest.fixture(autouse=True)
def end_what_was_started():
    """A test that fails must not leave a graph behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()  # the kernel then ends its graph
        process.communicate(timeout=20)  # not for ever: whoever is left behind holds its output


def cli(*words, cwd, **options):
    command = [sys.executable, "-m", "handlab.cli", *words]
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    STARTED.append(process)
    return process


def small_run(root, **changes):
    settings = {"max_hours": 0.006, "evaluate_every": 2, "evaluation_episodes": 2, "until": "hours"}
    return training.new_run(RunConfig(settings=SMALL, **(settings | changes)), root)


def wait_for(done, what, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def graph_run(tmp_path_factory):
    """A small run through the graph."""
    folder = small_run(tmp_path_factory.mktemp("graph run"))
    return folder, training.train(folder, resume=False)


def test_a_run_through_the_graph_leaves_everything_behind(graph_run):
    folder, summary = graph_run
    assert summary["backend"] == "graph" and summary["evaluation_episodes"] == 2
    page = run_report.write(folder).read_text()
    for name in ("config.yaml", "metrics.jsonl", "summary.json", "learning_curve.png", "nodes.log"):
        assert (folder.path / name).stat().st_size > 0 or name == "nodes.log"
    assert list(folder.path.glob("events.out.tfevents*"))
    assert "data:image/png;base64," in page and str(summary["iterations"]) in page
    if (folder.path / "video.mp4").is_file():
        assert "data:video/mp4;base64," in page
        with av.open(str(folder.path / "video.mp4")) as film:
            assert film.streams.video[0].codec_context.name == "h264"
    else:
        assert "No video" in page


def test_the_evaluation_is_an_ordinary_bag(graph_run):
    """Two readers that are not ours read the same messages."""
    folder, _ = graph_run
    with AnyReader([folder.bag]) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        episodes = [reader.deserialize(raw, c.msgtype)
                    for c, _, raw in reader.messages() if c.topic == "/episode"]  # fmt: skip
    assert counts["/episode"] == 2 and counts["/reward"] >= 2 * 60
    [path] = folder.bag.glob("*.mcap")
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        decoded = [m for _, c, _, m in reader.iter_decoded_messages(topics=["/episode"])]
    for ours, theirs in zip(episodes, decoded, strict=True):
        np.testing.assert_array_equal(ours.rewards, theirs.rewards)
        assert ours.episode == theirs.episode
    assert all(e.deterministic for e in episodes)


def test_graph_and_process_learn_the_same_bit_for_bit(graph_run, tmp_path):
    folder, summary = graph_run
    other = small_run(tmp_path, backend="sim")
    again = training.train(other, resume=False, num_envs=1, threads=1)
    a, b = (checkpoint.load(f.path).policy().tensors() for f in (folder, other))
    for name, tensor in a.items():
        np.testing.assert_array_equal(tensor, b[name])
    for name in ("robot_hours", "mean_return", "success_rate", "experience_s", "reset_s"):
        assert summary[name] == again[name], name


def test_an_evaluation_through_the_graph_is_that_of_the_process(graph_run):
    folder, _ = graph_run
    through = evaluation.evaluate(folder.path, 3, 5, GraphConfig())
    alone = evaluation.evaluate(folder.path, 3, 5, num_envs=1, threads=1)
    assert through == alone and through["episodes"] == 3


@pytest.mark.timeout(300)
def test_a_run_on_motors_goes_by_the_clock_and_its_report_plots_their_heat(tmp_path):
    motors = {"hardware": "dynamixel", "port": EMULATED}
    folder = small_run(tmp_path, **motors, max_hours=0.002, evaluate_every=1, evaluation_episodes=1)
    began = time.monotonic()
    summary = training.train(folder, resume=False)
    assert time.monotonic() - began > summary["experience_s"]
    for row in folder.metrics()[1:]:  # the first evaluation comes before any training
        assert np.shape(row["temperatures"]) == (9,) and min(row["temperatures"]) > 20.0
    run_report.plot(folder.metrics(), summary, tmp_path / "curve.png")
    height, width = imread(tmp_path / "curve.png").shape[:2]
    assert height > 0.8 * width  # a third plot below the two of every run


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["runner", "learner"])
def test_a_run_whose_node_is_killed_says_so_and_can_be_resumed(tmp_path, victim):
    folder = small_run(tmp_path, max_hours=0.03).path
    words = ["train", "--resume", str(folder), "--json"]
    first = cli(*words, cwd=tmp_path)
    wait_for(lambda: list(folder.glob("checkpoints/000002.json")), "two iterations", 240)
    [node] = [p for p in psutil.Process(first.pid).children(recursive=True)
              if f"handlab_nodes.nodes.{victim}_node" in " ".join(p.cmdline()[:4])]  # fmt: skip
    node.send_signal(signal.SIGKILL)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 1
    assert f"{victim} was killed by SIGKILL" in said and "--resume" in said
    second = cli(*words, cwd=tmp_path)
    out, said = second.communicate(timeout=200)
    assert second.returncode == 0, said
    summary = json.loads(out.splitlines()[-1])
    rows = RunFolder(folder).metrics()
    assert [r["iteration"] for r in rows] == list(range(summary["iterations"] + 1))
    assert (folder / "report.html").is_file()


def test_ctrl_c_stops_everything_within_two_seconds(tmp_path):
    process = cli("up", "valve", cwd=tmp_path, start_new_session=True)
    me = psutil.Process(process.pid)
    wait_for(
        lambda: sum("handlab_nodes" in " ".join(p.cmdline()) for p in children(me)) >= 6, "nodes"
    )
    nodes = children(me)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 2.0
    assert not [p for p in nodes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_ctrl_c_while_the_nodes_are_started_leaves_none_behind(tmp_path):
    process = cli("up", "valve", cwd=tmp_path, start_new_session=True)
    me = psutil.Process(process.pid)
    wait_for(lambda: children(me), "the first node")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)  # ends when nobody holds its output any more
    assert process.returncode == 0 and "Traceback" not in said


def children(process):
    found = []
    for child in process.children(recursive=True):
        try:
            child.cmdline()
            found.append(child)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "valv"], "unknown task 'valv'; there is: "),
        (
            ["train", "valve", "--algorithm", "sac"],
            "unknown algorithm 'sac'; there is: bc, dapg, npg, rlpd",
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
        (["bench", "x"], "unknown bench 'x'; there is: adroit, bus, demo, "),
        (["train"], "name a task"),
    ],
)
def test_bad_words_get_one_clear_sentence(tmp_path, words, message):
    process = cli(*words, cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (1, 2)
    assert message in said and "Traceback" not in said
    assert not list(tmp_path.rglob("config.yaml"))


def test_lists_and_help_read_well(tmp_path):
    for words, expected in ((["tasks"], "valve"), (["hands"], "FFJ10"), (["--help"], "demo")):
        process = cli(*words, cwd=tmp_path)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and expected in out


def test_two_graphs_get_two_domains(monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    one, two = Domain(), Domain()
    assert one.id != two.id
    one.release()
    three = Domain()
    assert three.id == one.id
    for domain in (two, three):
        domain.release()
    monkeypatch.setenv("ROS_DOMAIN_ID", "77")
    assert Domain().id == 77


def test_a_graph_that_cannot_be_is_refused():
    with pytest.raises(UnknownName, match="mujoco"):
        GraphConfig(hardware="x")
    with pytest.raises(UnknownName, match="valve"):
        GraphConfig(task="x")
    assert [n.name for n in build_graph(GraphConfig(learner=False, runner=False))] == [
        "driver", "estimator", "reward", "reset",
    ]  # fmt: skip


@pytest.mark.parametrize("page", generated_tables.PAGES)
def test_the_figures_of_a_page_are_those_of_the_results(page):
    text = (share() / page).read_text()
    assert (
        generated_tables.filled(page, text, generated_tables.read_results(share() / "results"))
        == text
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "valve", "--port", "/dev/no-such-port"], "driver: there is no /dev/no-such-port"),
        (["record", "valve", "--station", "flip.yaml"], "driver: flip.yaml is for claw and flip"),
    ],
    ids=["missing port", "station of another object"],
)
def test_a_graph_that_cannot_start_ends_by_itself_with_one_line(tmp_path, words, message):
    text = station_path("claw").read_text().replace("valve", "flip")
    (tmp_path / "flip.yaml").write_text(text)
    process = cli(*words, "--hardware", "dynamixel", cwd=tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"handlab: {message}")
