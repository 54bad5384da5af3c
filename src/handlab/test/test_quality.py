"""Format, lint and types, by the same settings as in an editor."""

import subprocess
import sys

import pytest

from handlab_core.system.paths import share


@pytest.mark.parametrize(
    "command",
    [["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"]],
    ids=lambda c: " ".join(c[:2]),
)
def test_quality(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=share(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
