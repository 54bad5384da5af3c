"""Format, lint and types, by the same settings as in an editor."""

import json
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


WHOLE = {
    f"src/handlab/test/repository/test_{name}.py"
    for name in (
        "backends", "commands", "contributing", "documents", "examples", "manifests", "names",
        "one_file_is_enough",
        "quality",
    )
}  # fmt: skip
"""Tests of the whole repository: laws of all backends, pages, manifests, names and new things."""


def test_the_house_keeps_its_shape():
    command = [sys.executable, str(share() / "tools" / "measure_house.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["import_cycles"] == 0 and found["readme_lines"] <= 120, found
    assert max(found["siblings"], found["test_siblings"]) <= 15, found
    assert found["mypy_coverage"] == 1.0, found
    assert set(found["tests_without_module"]) == WHOLE
