"""A step of the set-up is repeated by the next start, unless a process uses the environment."""

import json
import re
import shutil
import subprocess

import pytest

from handlab.machine.installation import EVERYTHING, MESSAGES, PACKAGES, RECORD, repeat
from handlab_core.errors import BadConfig
from handlab_core.system.paths import share

DONE = {"environment": "e", "requirements": "r", "workspace": "w", "packages": "p"}


@pytest.fixture
def environment(tmp_path):
    (tmp_path / RECORD).write_text(json.dumps(DONE))
    return tmp_path


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (EVERYTHING, {}),
        (MESSAGES, {k: v for k, v in DONE.items() if k != "workspace"}),
        (PACKAGES, {k: v for k, v in DONE.items() if k != "packages"}),
    ],
)
def test_the_record_of_a_step_is_forgotten(environment, step, left):
    assert "the next start" in repeat(step, environment)
    assert json.loads((environment / RECORD).read_text()) == left


def test_an_environment_that_a_process_uses_is_left_alone(environment):
    python = environment / "bin/python"
    python.parent.mkdir()
    shutil.copy(shutil.which("sleep"), python)
    user = subprocess.Popen([python, "60"])
    try:
        with pytest.raises(BadConfig, match=str(user.pid)):
            repeat(EVERYTHING, environment)
        assert json.loads((environment / RECORD).read_text()) == DONE
    finally:
        user.kill()
        user.wait()


def test_the_steps_are_those_of_the_set_up():
    text = (share() / "tools" / "bootstrap.py").read_text()
    assert re.search(rf'^STAMP = "{RECORD}"$', text, re.M)
    for step in (EVERYTHING, MESSAGES, PACKAGES):
        assert re.search(rf'^    "{step}": \w+,$', text, re.M)
