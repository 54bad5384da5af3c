"""CPU time of a tree of processes: all descendants count, each by the name of its module."""

import subprocess
import sys

from handlab.benches.running.idle import cpu_times

NODE = "handlab_nodes.nodes.some_node"

SPIN = f"""
import subprocess, sys, time
if len(sys.argv) == 3:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[2], "{NODE}"])
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("done", flush=True)
time.sleep(60)
"""


def test_the_cpu_time_of_a_verb_includes_its_nodes():
    words = [sys.executable, "-c", SPIN, "handlab.cli", SPIN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as verb:
        assert verb.stdout is not None
        for _ in range(2):
            assert verb.stdout.readline() == "done\n"
        times = cpu_times(verb.pid)
        for process, _ in times:
            subprocess.run(["kill", str(process)], check=True)
    assert sorted(name for _, name in times) == ["handlab.cli", NODE]
    assert all(0.25 <= seconds <= 5.0 for seconds in times.values())
