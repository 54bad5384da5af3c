"""The bench of the first set-up; a program that sets up nothing takes the place of `./handlab`."""

import json
import subprocess

import pytest

from handlab.benches.machine import install
from handlab.benches.result import as_text
from handlab_core.errors import StationFault

PROGRAM = """#!/bin/sh
mkdir -p .venv && head -c 3145728 /dev/zero > .venv/one && ln .venv/one .venv/two
env > ../variables
[ "$1" = tasks ] && exit 0
echo 'run folder: runs/one'
echo 'iteration    0   0.00 robot-h'
echo 'valve: {verdict}; success 97% [89%, 100%] of 30 episodes'
exit {status}
"""


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return a function that measures a checkout of such a program."""

    def measured(verdict="learned after 0.1 robot-hours", status=0):
        program = tmp_path / "handlab"
        program.write_text(PROGRAM.format(verdict=verdict, status=status))
        program.chmod(0o755)
        git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "handlab"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
        monkeypatch.setattr(install, "share", lambda: tmp_path)
        return install.measure(0)

    return measured


def test_times_and_size_of_a_fresh_clone_are_measured(measured):
    result = measured()
    found = result.details
    assert 0.0 < result.value <= found["moving_minutes"] <= found["learned_minutes"] < 1.0
    assert found["warm_minutes"] > 0.0 and found["success"] == 0.97
    assert 3.0 <= found["venv_mib"] < 3.1  # a file with two names is one
    cell = install._cell(json.loads(as_text(result.plain())))
    assert "3 MiB" in cell and "97% success" in cell


def test_a_demo_that_did_not_learn_is_no_learned_skill(measured):
    result = measured(verdict="not learned")
    assert result.details["success"] is None and "not learned" in install._cell(result.plain())


def test_a_set_up_that_fails_is_no_figure(measured):
    with pytest.raises(StationFault, match="ended with 3"):
        measured(status=3)


def test_a_newcomers_shell_knows_nothing_of_this_checkout(tmp_path):
    root = tmp_path / "checkout"
    variables = {
        "PATH": f"{root}/.venv/bin:/usr/bin", "LD_LIBRARY_PATH": f"{root}/.venv/lib", "HOME": "/h",
        "AMENT_PREFIX_PATH": "/opt", "PYTHONPATH": "/p", "HANDLAB_ROS": "kilted",
        "PIP_INDEX_URL": "https://index", "PIP_CACHE_DIR": "/full",
    }  # fmt: skip
    found = install.newcomers(variables, root, tmp_path / "cache")
    caches = {name: f"{tmp_path}/cache/{name.lower()}" for name in install.CACHES}
    index = {"PIP_INDEX_URL": "https://index"}
    assert found == {"PATH": "/usr/bin", "HOME": "/h"} | index | caches
