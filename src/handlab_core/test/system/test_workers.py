"""Workers of a pool end with the process that made it, in whatever way that ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

POOL = """
import os, signal, sys, time
from handlab_core.system.workers import worker_pool

def nap(_):
    time.sleep(60)

def end(*_):
    raise SystemExit(1)

if __name__ == "__main__":
    signal.signal(signal.SIGALRM, end)  # as the command line does with SIGTERM
    # One write a worker: the text and the line's end of a print may be parted by another's.
    with worker_pool(2, sys.argv[1], os.write, 1, b"begun\\n") as pool:
        jobs = [pool.submit(nap, n) for n in range(2)]
        time.sleep(60)
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGALRM])
def test_no_worker_outlives_its_pool(tmp_path, start, end):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    words = [sys.executable, "-u", str(script), start]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as pool:
        assert pool.stdout is not None
        for _ in range(2):
            assert pool.stdout.readline() == "begun\n"
        workers = psutil.Process(pool.pid).children(recursive=True)
        assert len(workers) >= 2
        os.kill(pool.pid, end)
        pool.wait(10)
    began = time.monotonic()
    while any(worker.is_running() and worker.status() != "zombie" for worker in workers):
        assert time.monotonic() - began < 10.0, "a worker lives on"
        time.sleep(0.1)
