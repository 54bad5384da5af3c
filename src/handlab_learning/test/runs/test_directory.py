"""Two writers, a crash or a full disk neither lose nor duplicate anything in a run's folder."""

import json
import resource
import signal
import subprocess
import sys
from datetime import datetime

import pytest

from handlab_core.errors import BadRun, CannotWrite, RunInUse
from handlab_learning.runs import checkpoint, directory
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

CONFIG = RunConfig(
    max_hours=0.015, evaluate_every=2, evaluation_episodes=4, until="hours",
    settings={"hidden": [6], "episodes_per_iteration": 3, "baseline.hidden": [8]},
)  # fmt: skip


@pytest.fixture
def sampler(make_sampler):
    return make_sampler(CONFIG.make_task())


def new_folder(root):
    return RunFolder.create(root, CONFIG, datetime(2026, 1, 2))


def rows_of(folder):
    clock = ("wall_s", "learn_s", "steps_per_s")
    return [{k: v for k, v in row.items() if k not in clock} for row in folder.metrics()]


@pytest.fixture
def done(tmp_path, sampler):
    folder = new_folder(tmp_path / "done")
    Trainer(CONFIG, sampler).run(folder)
    return folder


HOLD = """
import sys, time
from pathlib import Path
from handlab_learning.runs.directory import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_folder_that_another_process_writes_is_refused_until_that_dies(done, sampler):
    command = [sys.executable, "-c", HOLD, str(done.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            before = done.metrics_path.read_bytes()
            for resume in (True, False):
                with pytest.raises(RunInUse, match=f"by process {other.pid} "):
                    Trainer(CONFIG, sampler).run(done, resume)
            assert done.metrics_path.read_bytes() == before
        finally:
            other.send_signal(signal.SIGKILL)
    Trainer(CONFIG, sampler).run(done, resume=True)


def test_a_folder_is_free_again_after_a_run_that_failed(tmp_path, sampler):
    folder = new_folder(tmp_path)
    folder.metrics_path.write_text("{}\n")
    with pytest.raises(BadRun):
        Trainer(CONFIG, sampler).run(folder, resume=True)
    folder.metrics_path.unlink()
    sampler.sample = None
    with pytest.raises(TypeError):
        Trainer(CONFIG, sampler).run(folder)
    with folder.locked():
        pass


@pytest.mark.parametrize("iteration", [-3, 0, 2, 10**6, 2.5, True, None])
def test_a_manifest_that_cannot_be_empties_nothing(done, sampler, iteration):
    path = done.newest_checkpoint().manifest_path
    manifest = json.loads(path.read_text())
    manifest["iteration"] = manifest["progress"]["iteration"] = iteration
    path.write_text(json.dumps(manifest))
    before = done.metrics_path.read_bytes()
    with pytest.raises(BadRun, match=path.name):
        Trainer(CONFIG, sampler).run(done, resume=True)
    assert done.metrics_path.read_bytes() == before


def test_rows_that_are_dropped_are_kept_once_more(done, sampler):
    """This is the state after two crashes between a row and its checkpoint."""
    rows, whole = rows_of(done), done.metrics_path.read_bytes()
    for manifest in checkpoint.manifests(done.checkpoints)[-2:]:
        checkpoint.remove(manifest)
    Trainer(CONFIG, sampler).run(done, resume=True)
    assert rows_of(done) == rows
    assert done.path.joinpath(directory.COPY).read_bytes() == whole


def test_a_row_that_was_lost_after_its_checkpoint_is_restored(done, sampler):
    rows = done.metrics_path.read_text().splitlines(keepends=True)
    done.metrics_path.write_text("".join(rows[:-1]))
    Trainer(CONFIG, sampler).run(done, resume=True)
    assert done.metrics_path.read_text() == "".join(rows)


@pytest.mark.parametrize("lost", [slice(0, 3), slice(2, 4), slice(0, -1), slice(0, None)])
def test_a_run_whose_rows_are_lost_is_refused_and_left_alone(done, sampler, lost):
    rows = done.metrics_path.read_text().splitlines(keepends=True)
    del rows[lost]
    done.metrics_path.write_text("".join(rows))
    with pytest.raises(BadRun, match="gapless"):
        Trainer(CONFIG, sampler).run(done, resume=True)
    assert done.metrics_path.read_text() == "".join(rows)


class CrashError(Exception):
    """Stands for the death of the process."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("survived", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
def test_a_crash_at_any_write_leaves_no_gap_and_no_double(
    done, tmp_path, sampler, monkeypatch, survived, after
):
    """Before or after the file is replaced; the first evaluation makes five writes."""
    left = [survived]

    def dies(function):
        def write(*args):
            left[0] -= 1
            if left[0] < 0 and not after:
                raise CrashError
            function(*args)
            if left[0] < 0:
                raise CrashError

        return write

    folder = new_folder(tmp_path / "crashed")
    trainer = Trainer(CONFIG, sampler)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", dies(checkpoint.write_atomically))
        patch.setattr(folder, "append", dies(folder.append))
        with pytest.raises(CrashError):
            trainer.run(folder)
    summary = Trainer(CONFIG, sampler).run(folder, resume=True)
    assert rows_of(folder) == rows_of(done)
    same = ("best", "last", "robot_hours", "iterations")
    assert [summary[key] for key in same] == [done.summary()[key] for key in same]
    for kind in ("candidates", "best", "checkpoints"):
        names = [sorted(p.name for p in (f.path / kind).iterdir()) for f in (folder, done)]
        assert names[0] == names[1]


@pytest.mark.parametrize("most", [600, 2500, 6000])
def test_a_file_that_cannot_grow_is_named_and_the_run_goes_on_later(done, tmp_path, sampler, most):
    """With a limit on the size of files, as a full disk refuses: at the first file, or later."""
    folder = new_folder(tmp_path / "limited")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(CannotWrite, match=r"cannot write .*limited.*ulimit"):
            Trainer(CONFIG, sampler).run(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [p for p in folder.path.rglob(".*") if p.name != directory.LOCK]
    Trainer(CONFIG, sampler).run(folder, resume=True)
    assert rows_of(folder) == rows_of(done)


def test_scratch_files_of_a_killed_process_are_removed(done, sampler):
    scratch = done.checkpoints / ".000007.json.4711"
    scratch.write_text("{")
    mine = done.checkpoints / ".000007.json.mine"
    mine.write_text("{")
    Trainer(CONFIG, sampler).run(done, resume=True)
    assert not scratch.exists() and mine.exists()
