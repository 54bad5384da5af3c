"""A port that is in use names the process that holds it."""

import os
import subprocess
import sys

from handlab_core.system.holders import lock_holder

HOLD = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_the_process_that_locks_a_file_is_named_with_its_command(tmp_path):
    path = tmp_path / "port"
    path.touch()
    assert lock_holder(path) == ""
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        link = tmp_path / "link"
        link.symlink_to(path)
        for name in (path, link):
            assert lock_holder(name).startswith(f"process {process.pid}: "), lock_holder(name)
        process.stdin.close()
    assert lock_holder(path) == ""


def kernel(folder, processes):
    """A folder as /proc has it."""
    for pid, (parent, words) in processes.items():
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "cmdline").write_text("\0".join(words) + "\0")
        (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
    return folder


def test_a_node_is_named_by_the_verb_that_started_its_graph(tmp_path):
    proc = kernel(
        tmp_path / "proc",
        {
            7: (6, ["python", "-m", "handlab_core.system.lifeline", "handlab_nodes.nodes.driver"]),
            6: (5, ["/venv/bin/python", "-m", "handlab.cli", "up", "valve"]),
            5: (1, ["bash"]),
        },
    )
    path = tmp_path / "port"
    path.touch()
    status = os.stat(path)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    (proc / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 7 {device} 0 EOF\n")
    assert lock_holder(path, proc) == "process 6: ./handlab up valve"
