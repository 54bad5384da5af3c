"""A program of others ends with the process that started it."""

import subprocess
import sys
import time

import psutil

PARENT = """
import os, subprocess, sys, time
from handlab_core.system.death_signal import PREFIX
from handlab_core.system.lifeline import supervised
words = [*PREFIX.split(), "sleep", "60"]
child = subprocess.Popen(words, env=supervised(os.environ))
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_program_ends_when_its_parent_is_killed():
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        began = time.monotonic()
        while child.name() != "sleep":
            assert time.monotonic() - began < 20.0, "it has not become the program"
            time.sleep(0.02)
        parent.kill()
    began = time.monotonic()
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - began < 20.0, "it lives on"
        time.sleep(0.02)


def test_a_program_whose_parent_has_ended_does_not_start():
    words = [sys.executable, "-m", "handlab_core.system.death_signal", "echo", "started"]
    said = subprocess.check_output(words, env={"HANDLAB_SUPERVISORS": "1"}, text=True, timeout=20)
    assert said == ""
