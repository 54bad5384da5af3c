"""The command line as a process, and environments of Gymnasium."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import handlab.gym  # noqa: F401  (registers the environments)


@pytest.fixture
def make():
    """Make environments that are closed after the test."""
    made = []

    def make(number=None, name="handlab/ClawValve-v0", **options):
        if number is None:
            made.append(gymnasium.make(name, **options))
        else:
            made.append(gymnasium.make_vec(name, num_envs=number, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.fixture
def acts():
    """Return a function that draws random actions, (steps, N, 9)."""
    return lambda number, steps, seed=0: np.random.default_rng(seed).uniform(
        -1, 1, (steps, number, 9)
    )


@pytest.fixture
def play():
    """Return a function that resets, acts, and returns all results."""

    def play(envs, script, seed=None):
        seen = [envs.reset(seed=seed)]
        return seen + [envs.step(action) for action in script]

    return play


@pytest.fixture
def no_film(monkeypatch):
    """Reports have no film, whose drawing takes a minute without a graphics card."""
    monkeypatch.setenv("MUJOCO_GL", "off")


@pytest.fixture
def cli():
    """Start a verb in a process that does not outlive the test."""
    started = []

    def cli(*words, cwd, **options):
        command = [sys.executable, "-m", "handlab.cli", *words]
        process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        started.append(process)
        return process

    yield cli
    for process in started:
        process.kill()  # the kernel then ends its graph
        process.communicate(timeout=20)  # not for ever: a node left behind holds its output
