"""Learning curves of several runs, on run folders made by hand."""

import json
from datetime import datetime

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from handlab.benches.learning import tasks
from handlab.benches.result import as_text
from handlab.cli.program import make_app
from handlab.reporting import learning_curves
from handlab.reporting.compare import compare
from handlab.reporting.learning_curves import Curve, side_by_side, together
from handlab.reporting.progress import learned_text
from handlab_core.errors import BadRun
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder


def finished_run(root, seed=0, hours=2.0, **config):
    """A run whose success rises in a line, and was learned at `hours`."""
    folder = RunFolder.create(root, RunConfig(seed=seed, **config), datetime(2024, 1, 1))
    for i, share in enumerate((0.0, 0.5, 1.0)):
        row = {"iteration": 5 * i, "robot_hours": i * hours / 2}
        folder.append(row | {"evaluation": {"success_rate": share, "strict_success_rate": 0.0}})
        folder.append({"iteration": 5 * i + 1, "robot_hours": i * hours / 2 + 0.1})
    rates = {"success_rate": 1.0, "strict_success_rate": 0.0}
    kept = {
        "best": rates | {"iteration": 5, "success_rate_low": 0.89, "success_rate_high": 1.0},
        "last": rates | {"iteration": 10, "success_rate": 0.2},
    }
    folder.write_summary({
        "task": "valve", "algorithm": "npg", "backend": "sim", "seed": seed, "iterations": 10,
        "evaluation_episodes": 30, "robot_hours": hours, "wall_s": 1.0, "run_dir": "",
        "robot_hours_to_success": hours, "robot_hours_to_strict_success": None, **rates, **kept,
    })  # fmt: skip
    return folder.path


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path):
    runs = [finished_run(tmp_path, seed, hours) for seed, hours in enumerate((1.0, 2.0, 4.0))]
    runs += [finished_run(tmp_path, 0, 3.0, settings={"kl": 0.1}, backend="sim")]
    runs += [finished_run(tmp_path, 0, 3.0, task="pose", max_hours=1.0)]
    figures = compare(runs, tmp_path / "compare.png")
    assert list(figures["groups"]) == [
        "valve npg reward=robel", "valve npg reward=robel kl=0.1", "pose npg reward=robel",
    ]  # fmt: skip
    group = figures["groups"]["valve npg reward=robel"]
    assert group["seeds"] == [0, 1, 2] and group["median_robot_hours_to_success"] == 2.0
    assert group["median_robot_hours_to_strict_success"] is None
    with Image.open(tmp_path / "compare.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_the_best_policies_stand_beside_the_last_ones(tmp_path):
    """A run from before both were kept has handed out its last policy."""
    old = finished_run(tmp_path, 1)
    summary = json.loads((old / "summary.json").read_text())
    del summary["best"], summary["last"]
    (old / "summary.json").write_text(json.dumps(summary | {"success_rate": 0.5}))
    figures = compare([finished_run(tmp_path), old], tmp_path / "x.png")
    [group] = figures["groups"].values()
    assert group["best_success_rate"] == [1.0, None]
    assert group["last_success_rate"] == [0.2, 0.5] and group["success_rate"] == [1.0, 0.5]
    assert group["best_success_interval"] == [[0.89, 1.0], None]
    assert group["last_success_interval"] == [None, None]  # of runs from before there were any


def test_what_is_no_finished_run_is_refused_by_name(tmp_path):
    good = finished_run(tmp_path)
    with pytest.raises(BadRun, match="is not a run folder"):
        compare([good, tmp_path], tmp_path / "x.png")
    with pytest.raises(BadRun, match="no run folder"):
        compare([tmp_path / "nothing"], tmp_path / "x.png")
    with pytest.raises(BadRun, match="seed 0: leave one out"):
        compare([good, good], tmp_path / "x.png")
    open_run = finished_run(tmp_path, 1)
    (open_run / "summary.json").unlink()
    with pytest.raises(BadRun, match="has not ended"):
        compare([good, open_run], tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_the_verb_prints_its_figures_last(tmp_path):
    words = ["compare", str(finished_run(tmp_path)), "--output", str(tmp_path / "c.png"), "--json"]
    lines = CliRunner().invoke(make_app(), words).stdout.splitlines()
    assert json.loads(lines[-1])["groups"]["valve npg reward=robel"]["seeds"] == [0]
    assert "learned after 2.00 robot-hours" in lines[0]
    assert "best policies: 100% [89%, 100%]; of the last: 20%" in lines[1]


@pytest.mark.parametrize(
    ("hours", "algorithm", "words"),
    [
        (None, "npg", "not learned"),
        (0.05, "dapg", "learned after 0.05 robot-hours"),
        (0.0, "dapg", "learned by cloning alone"),
        (0.0, "npg", "needed no learning"),
    ],
)
def test_learned_with_robot_time_and_by_cloning_alone_read_differently(hours, algorithm, words):
    assert words in learned_text(hours, algorithm)


def test_a_curve_that_begins_with_an_evaluation_at_0_hours_begins_there(tmp_path):
    curve = Curve((0.0, 1.0), (0.8, 1.0))
    np.testing.assert_allclose(curve.at(np.array([0.0, 0.5, 2.0])), [0.8, 0.9, 1.0])
    learning_curves.ways({"a": {"cloned": [curve]}}, tmp_path / "w.png", logarithmic=True)
    assert (tmp_path / "w.png").is_file()


def test_a_spread_is_median_and_extremes_and_holds_where_a_run_has_ended():
    runs = [Curve((1.0, 2.0), (0.0, s)) for s in (0.2, 0.9)] + [Curve((1.0, 4.0), (0.4, 0.4))]
    spread = together(runs)
    assert spread.hours[-1] == 4.0
    ends = spread.least[-1], spread.median[-1], spread.most[-1]
    np.testing.assert_allclose(ends, (0.2, 0.4, 0.9))
    np.testing.assert_allclose(Curve((1.0,), (1.0,)).at(np.array([0.0, 0.5, 9.0])), [0, 0.5, 1])


def test_curves_survive_being_kept_and_a_row_of_numbers_is_one_line(tmp_path):
    curve = Curve((0.1, 0.25), (0.0, 0.9333))
    text = as_text({"a": {"curves": [curve.pairs()]}, "names": ["x", "y"]})
    assert json.loads(text)["a"]["curves"] == [[[0.1, 0.0], [0.25, 0.933]]]
    assert any("[0.25, 0.933]" in line for line in text.splitlines())
    side_by_side(
        {"a": [curve], "b": [curve], "c": [curve], "d": [curve]}, {"a": 1}, tmp_path / "t.png"
    )
    assert (tmp_path / "t.png").is_file()


def test_ways_to_learn_are_drawn_with_the_same_colours_in_every_picture(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(learning_curves, "_save", lambda figure, path: figures.append(figure))
    slow, fast = [Curve((2.0, 4.0), (0.0, 1.0))], [Curve((0.1, 0.2), (1.0, 1.0))]
    tasks = {"a": {"slow": slow, "fast": fast}, "b": {"fast": fast}}
    learning_curves.ways(tasks, tmp_path / "w.png", logarithmic=True)
    (figure,) = figures
    a, b = figure.axes
    colours = {line.get_label(): line.get_color() for line in a.lines}
    assert colours["fast"] != colours["slow"] and b.lines[0].get_color() == colours["fast"]
    assert a.get_xscale() == "log" and a.get_xlim()[0] == pytest.approx(0.1)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["slow", "fast"]


def test_the_table_of_tasks_says_never_and_leaves_out_what_was_not_asked():
    row = {
        "hand": "claw", "description": "turn", "post": "9 h", "asked": None,
        "robot_hours_to_success": [1.0, None, 2.0], "median_robot_hours_to_success": 2.0,
        "median_robot_hours_to_strict_success": None,
    }  # fmt: skip
    table = tasks.tasks_table({"tasks": {"valve": row}, "command": "./handlab x"})
    line = "| `valve` | claw | turn |  | **2.00 h** (1.00 h, never, 2.00 h) | never | 9 h |"
    assert line in table and "./handlab x" in table
    assert tasks.tasks_table(None) == "Not measured yet."
