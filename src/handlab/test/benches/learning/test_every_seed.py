"""Runs of several seeds; a bench that was broken off goes on."""

from functools import partial

import pytest

from handlab.benches import journal as module
from handlab.benches.learning.every_seed import learn_all


def learn(log, root, name, seed):
    """Write down that a run was carried out; one of them fails as long as a file is there."""
    with log.open("a") as file:
        file.write(f"{name} {seed}\n")
    if (name, seed) == ("b", 1) and log.with_suffix(".fail").exists():
        raise RuntimeError("broken off")
    return {"name": name, "curve": [[0.0, 0.5 * seed]]}


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "log"


def carried_out(log):
    lines = log.read_text().splitlines()
    log.unlink()
    return lines


def run(log, bench):
    return learn_all(partial(learn, log), ["a", "b"], [0, 1, 2], 1, bench)


EVERY = [f"{name} {seed}" for name in "ab" for seed in range(3)]


def test_results_come_by_name_in_the_order_of_the_seeds(log):
    done = run(log, "")
    assert [one["curve"][0][1] for one in done["b"]] == [0.0, 0.5, 1.0]
    assert all(one["name"] == name for name, runs in done.items() for one in runs)


def test_a_bench_that_was_broken_off_carries_out_what_is_left(log, tmp_path):
    log.with_suffix(".fail").touch()
    with pytest.raises(RuntimeError, match="broken off"):
        run(log, "test it")
    before = carried_out(log)
    assert before[:5] == EVERY[:5]
    log.with_suffix(".fail").unlink()
    done = run(log, "test it")
    assert carried_out(log) == EVERY[4:]
    assert done == run(log, "")
    carried_out(log)
    run(log, "test it")  # the next one is another measurement
    assert carried_out(log) == EVERY
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_finished_runs_of_another_commit_do_not_count(log, monkeypatch):
    log.with_suffix(".fail").touch()
    with pytest.raises(RuntimeError):
        run(log, "test it")
    carried_out(log)
    log.with_suffix(".fail").unlink()
    monkeypatch.setattr(module, "commit", lambda: "another")
    run(log, "test it")
    assert carried_out(log) == EVERY
