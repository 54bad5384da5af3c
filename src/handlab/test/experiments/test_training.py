"""Small runs through the graph, in this process, on emulated motors, and broken off."""

import json
import signal
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
from handlab.graph.config import GraphConfig
from handlab.reporting import run_report
from handlab_core.options import EMULATED
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}


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


@pytest.mark.usefixtures("no_film")
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


@pytest.mark.usefixtures("no_film")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["runner", "learner"])
def test_a_run_whose_node_is_killed_says_so_and_can_be_resumed(tmp_path, victim, cli):
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
