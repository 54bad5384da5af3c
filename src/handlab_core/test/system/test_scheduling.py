"""Scheduling of the threads of a process."""

import os
import subprocess
import sys

import pytest

from handlab_core.system.scheduling import realtime_priority

TURNS = """
import os, threading
from handlab_core.system.scheduling import THREADS, use_batch_scheduling

end = threading.Event()
threading.Thread(target=end.wait).start()
use_batch_scheduling()
threading.Thread(target=end.wait).start()
print(*(os.sched_getscheduler(int(thread.name)) for thread in THREADS.iterdir()))
end.set()
"""


def test_all_threads_of_a_process_take_turns_those_to_come_too():
    """In a process of its own, since it is for ever."""
    done = subprocess.run([sys.executable, "-c", TURNS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == 3 * [str(os.SCHED_BATCH)]


def test_realtime_priority_ends_with_its_block_also_after_an_error():
    before, asked = os.sched_getscheduler(0), []
    with pytest.raises(ValueError, match="within"), realtime_priority():
        asked.append(os.sched_getscheduler(0))
        raise ValueError("within")
    assert asked == [os.SCHED_RR] or os.geteuid() != 0
    assert os.sched_getscheduler(0) == before
