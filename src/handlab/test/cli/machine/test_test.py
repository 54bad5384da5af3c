"""Tests of `./handlab test`: what failed beside other tests decides only when it fails again."""

import subprocess

import pytest
from typer.testing import CliRunner

from handlab.cli.program import make_app


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param([0], 0, id="all pass"),
        pytest.param([1, 0], 0, id="a test fails beside others only"),
        pytest.param([1, 1], 1, id="a test fails again"),
        pytest.param([2], 2, id="interrupted"),
    ],
)
def test_only_failed_tests_run_again_and_alone(monkeypatch, statuses, expected):
    commands, left = [], list(statuses)

    def call(command, cwd):
        commands.append(command)
        return left.pop(0)

    monkeypatch.setattr(subprocess, "call", call)
    result = CliRunner().invoke(make_app(), ["test"])
    assert result.exit_code == expected
    assert not left
    assert "-n" in commands[0]
    assert all("--last-failed" in again and "-n" not in again for again in commands[1:])


def test_with_arguments_nothing_runs_twice(monkeypatch):
    commands = []
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: commands.append(command) or 1)
    result = CliRunner().invoke(make_app(), ["test", "-q", "-k", "valve"])
    assert result.exit_code == 1
    assert [command[-3:] for command in commands] == [["-q", "-k", "valve"]]
