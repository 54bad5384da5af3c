"""The example of our own learner in Gymnasium's environments."""

import importlib.util

import numpy as np

from handlab_core.system.paths import share


def example(name):
    spec = importlib.util.spec_from_file_location(name, share() / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_rlpd_learns_and_counts_the_robot_time(capsys):
    words = ["--env", "handlab/ClawPose-v0", "--episodes", "8", "--hidden", "8"]
    mean = example("rlpd").main(words)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8 and np.isfinite(mean)
    minutes = [float(line.split()[2]) for line in lines]
    assert minutes == sorted(minutes) and 8 * 4 / 60 <= minutes[-1] < 2.0


def test_the_example_of_rlpd_takes_an_environment_of_another_project():
    words = ["--env", "Pendulum-v1", "--episodes", "2", "--hidden", "8", "--steps", "30"]
    assert np.isfinite(example("rlpd").main(words))
