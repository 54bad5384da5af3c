"""A minute each of what `./handlab bench pace` does for an hour."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from handlab.benches.running import pace
from handlab.benches.table import BENCHES
from handlab.cli import program
from handlab.cli.machine.bench import name_in
from handlab_core.options import HardwareOptions

SECONDS = 60.0
HANDS = (HardwareOptions(), HardwareOptions(hardware="dynamixel", port="emulated"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_real_pace_every_state_is_rewarded_on_a_busy_machine():
    """In simulation and on emulated servos, both at once."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(pace.run, SECONDS, 0, hand) for hand in HANDS]
    for counts in (run.result() for run in runs):
        assert counts["episodes"] >= 3 and counts["states"] > 0.3 * SECONDS * 100
        assert counts["stops"] == []
        assert (counts["states_without_reward"], counts["episodes_broken_off"]) == (0, 0)


def test_a_bench_refuses_options_that_it_does_not_take(capsys):
    code = program.run(["bench", "sim", "--minutes", "1"])
    assert code == 2
    said = capsys.readouterr().err
    assert "No such option: --minutes" in said and "see ./handlab bench sim --help" in said


@pytest.mark.parametrize(
    "words",
    [["demos", "--tasks", "valve"], ["--tasks", "valve", "demos"], ["--json", "demos"],
     ["--tasks=valve", "demos"]],
)  # fmt: skip
def test_a_bench_is_named_anywhere_in_the_line(words):
    """`valve` is the name of a task and of a bench."""
    assert name_in(words, BENCHES) == "demos"


def test_a_bench_lists_its_options(capsys):
    assert program.run(["bench", "pace", "--help"]) == 0
    assert program.run(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--minutes" in said and "--hardware" in said and "--write" in said
    assert "  adroit\n" in said


def test_the_value_is_of_this_run_and_the_other_hardwares_part_is_kept(monkeypatch):
    counts = {"states": 9, "episodes": 1, "states_without_reward": 1, "episodes_broken_off": 0,
              "stops": []}  # fmt: skip
    monkeypatch.setattr(pace, "run", lambda *_: counts)
    monkeypatch.setattr(pace, "kept", lambda *_: {"dynamixel": {"violations": 7}})
    result = pace.measure(0, pace.PaceBenchOptions(minutes=1.0))
    assert result.value == 1
    assert [p["violations"] for p in result.details["hardware"].values()] == [7, 1]
