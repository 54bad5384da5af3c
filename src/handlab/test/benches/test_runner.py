"""Results of benches are kept part by part."""

import json

import pytest

from handlab.benches import runner
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Result
from handlab_core.errors import StationFault, UnknownName
from handlab_core.system.validation import Flag, Text, checked


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where results are kept instead."""
    for name in ("results", "share"):
        monkeypatch.setattr(runner, name, lambda: tmp_path)
    monkeypatch.setattr(runner, "rewrite_pages", lambda: None)
    return tmp_path


def bench_of(folder, measured):
    """A bench of three tasks, the second of which fails."""

    def measure(seed, options):
        names = options.tasks.split(",") if options.tasks else ["a", "b", "c"]
        measured.append(names)
        if names == ["b"]:
            raise StationFault("the hand is gone")
        old = folder / "x.json"
        rows = json.loads(old.read_text())["rows"] if old.exists() else []
        return Result(1.0, 1.0, "of the limit", {"rows": rows + names})

    return {"x": Bench(measure, options=TasksOptions, parts=("tasks", ("a", "b", "c")))}


def test_a_bench_that_breaks_off_has_kept_the_finished_parts(folder):
    measured = []
    with pytest.raises(StationFault):
        runner.run_bench("x", bench_of(folder, measured), 0, write=True)
    assert measured == [["a"], ["b"]]
    kept = json.loads((folder / "x.json").read_text())
    assert kept["rows"] == ["a"] and kept["command"] == "./handlab bench x --write"


def test_the_named_parts_are_measured_and_the_result_has_all(folder):
    measured = []
    options = TasksOptions(tasks="a,c")
    plain = runner.run_bench("x", bench_of(folder, measured), 0, write=True, options=options)
    assert measured == [["a"], ["c"]] and plain["rows"] == ["a", "c"]
    with pytest.raises(UnknownName, match="tasks"):
        options = TasksOptions(tasks="a,d")
        runner.run_bench("x", bench_of(folder, measured), 0, write=True, options=options)
    assert len(measured) == 2, "nothing is measured before all names are known"


def test_without_a_result_to_keep_all_parts_are_measured_at_once(folder):
    measured = []
    runner.run_bench("x", bench_of(folder, measured), 0, write=False)
    assert measured == [["a", "b", "c"]] and not (folder / "x.json").exists()


@checked
class Choices:
    """Options of a bench; some are on from the start."""

    wire: Flag = True
    again: Flag = False
    levels: Text = ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Choices(), ""),
        (Choices(wire=False), "--no-wire "),
        (Choices(again=True, levels="none,full"), "--again --levels none,full "),
    ],
)
def test_the_command_of_a_result_can_be_typed_again(folder, options, words):
    bench = Bench(lambda seed, options: Result(1.0, 1.0, "", {}), options=Choices)
    runner.run_bench("x", {"x": bench}, 0, write=True, options=options)
    kept = json.loads((folder / "x.json").read_text())
    assert kept["command"] == f"./handlab bench x {words}--write"
