"""Files of dead processes are removed; a file that any process uses stays."""

import fcntl
import mmap
import os
import subprocess
import sys
import time

import pytest

from handlab.machine.shared_memory import YOUNG, leftovers, remove_leftovers

OLD = 2 * YOUNG


def group(folder, name, old=OLD):
    """Make the files of one participant or port."""
    names = [name, f"{name}_el", f"sem.{name}_mutex"]
    for each in names:
        (folder / each).write_bytes(b"x" * 100)
        os.utime(folder / each, (time.time() - old,) * 2)
    return {folder / each for each in names}


def files(folder):
    return set(folder.iterdir())


def test_what_dead_processes_left_is_removed_and_other_files_stay(tmp_path):
    left = group(tmp_path, "fastrtps_0126e2b33837f992") | group(tmp_path, "fastdds_port7411")
    others = ["fastrtps_notes.txt", "psm_fastrtps_1", "sem.other", "fastrtps_port74x"]
    for name in others:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    assert {path for found in leftovers(tmp_path) for path in found.files} == left
    gone = remove_leftovers(tmp_path)
    assert {found.name for found in gone} == {"fastrtps_0126e2b33837f992", "fastdds_port7411"}
    assert sum(found.size for found in gone) == 600
    assert {path.name for path in files(tmp_path)} == set(others)
    assert remove_leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["fastrtps_ab", "fastrtps_ab_el", "sem.fastrtps_ab_mutex"])
def test_a_group_stays_as_long_as_a_process_has_one_of_its_files_open(tmp_path, name):
    all_files = group(tmp_path, "fastrtps_ab")
    code = "import sys, time; f = open(sys.argv[1]); print(flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / name)], stdout=subprocess.PIPE
    )
    try:
        holder.stdout.readline()
        assert remove_leftovers(tmp_path) == [] and files(tmp_path) == all_files
    finally:
        holder.kill()
        holder.wait()
    assert len(remove_leftovers(tmp_path)) == 1


def test_a_group_stays_as_long_as_it_is_mapped(tmp_path):
    all_files = group(tmp_path, "fastdds_ab")
    with (tmp_path / "fastdds_ab").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert leftovers(tmp_path) == [] and files(tmp_path) == all_files
    mapped.close()
    assert len(leftovers(tmp_path)) == 1


def test_a_group_stays_as_long_as_its_lock_is_held_by_a_process_that_is_not_seen(tmp_path):
    """As one in another container, whose process numbers are not ours."""
    folder, processes = tmp_path / "shm", tmp_path / "no_processes"
    folder.mkdir(), processes.mkdir()
    group(folder, "fastdds_ab")
    with (folder / "fastdds_ab_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_leftovers(folder, processes) == []
    assert len(remove_leftovers(folder, processes)) == 1


def test_a_young_group_and_one_of_another_user_stay(tmp_path, monkeypatch):
    group(tmp_path, "fastdds_ab", old=1.0)
    assert leftovers(tmp_path) == []
    group(tmp_path, "fastdds_ab")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert leftovers(tmp_path) == []


def test_no_folder_is_no_problem(tmp_path):
    assert leftovers(tmp_path / "absent") == remove_leftovers(tmp_path / "absent") == []
