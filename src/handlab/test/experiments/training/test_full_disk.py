"""A disk that is full, and a place that is not to be written: a clear word, and the run goes on."""

import json
import subprocess
import sys

import pytest

from handlab_core.system.paths import share
from handlab_learning.runs.directory import RunFolder

SMALL = ("train", "pose", "--backend", "sim", "--max-hours", "0.01", "--until", "hours",
         "--set", "hidden=[8]", "--set", "baseline.hidden=[8]",
         "--set", "episodes_per_iteration=2", "--json")  # fmt: skip


def handlab(cwd, *words):
    command = [sys.executable, "-m", "handlab.cli", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 100 kB, and a function that makes it larger."""

    def mount(*words):
        return subprocess.run(["mount", "-t", "tmpfs", *words], capture_output=True).returncode

    disk = tmp_path / "disk"
    disk.mkdir()
    if mount("-o", "size=100k", "tmpfs", str(disk)):
        pytest.skip("this user may not mount a disk")
    yield disk, lambda: mount("-o", "remount,size=100m", "tmpfs", str(disk))
    subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.usefixtures("no_film")
@pytest.mark.timeout(600)
def test_a_run_on_a_full_disk_says_so_and_is_resumed_where_there_is_space(small_disk):
    disk, enlarge = small_disk
    first = handlab(disk, *SMALL)
    assert first.returncode == 1 and "Traceback" not in first.stderr
    assert "No space left on device; free some space" in first.stderr
    [folder] = (disk / "runs").iterdir()
    assert f"train--resume{folder}" in "".join(first.stderr.split())  # a terminal breaks lines
    assert not [p.name for p in folder.rglob(".*") if p.name != ".lock"]
    assert enlarge() == 0
    second = handlab(disk, "train", "--resume", str(folder), "--json")
    assert second.returncode == 0, second.stderr
    summary = json.loads(second.stdout.splitlines()[-1])
    iterations = [row["iteration"] for row in RunFolder(folder).metrics()]
    assert iterations == list(range(summary["iterations"] + 1))
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("words", [SMALL, ("up", "pose", "--bag", "runs/bag")])
def test_a_file_named_runs_is_in_the_way_and_is_left_alone(tmp_path, words):
    (tmp_path / "runs").write_text("mine")
    done = handlab(tmp_path, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "runs" in done.stderr and "a part of this path is a file" in done.stderr
    assert (tmp_path / "runs").read_text() == "mine"


def test_a_recording_never_replaces_what_is_no_bag(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("mine")
    done = handlab(tmp_path, "up", "pose", "--bag", "photos")
    assert done.returncode == 1 and "holds one.jpg" in done.stderr
    assert "ROS_DOMAIN_ID" not in done.stderr  # nothing was started
    assert (tmp_path / "photos" / "one.jpg").read_text() == "mine"


def test_a_bench_asks_for_its_place_before_it_measures(monkeypatch, tmp_path):
    from handlab.benches import result, runner
    from handlab.benches.result import Bench
    from handlab_core.errors import CannotWrite

    (tmp_path / "results").write_text("mine")
    monkeypatch.setattr(result, "share", lambda: tmp_path)
    measured = []
    with pytest.raises(CannotWrite, match="results"):
        runner.run_bench("x", {"x": Bench(measured.append)}, 0, write=True)
    assert not measured and share() != tmp_path
