"""`./handlab train --algorithm ppo` needs no further options."""

import pytest

from handlab.cli.learning import train as verb
from handlab.cli.program import make_app
from handlab_core.errors import BadConfig
from handlab_learning.runs.config import RunConfig


@pytest.mark.parametrize(
    ("words", "worlds", "randomise"),
    [([], 64, "none"), (["--worlds", "256", "--randomise", "full"], 256, "full")],
)
def test_it_is_simulated_with_one_episode_of_every_world(monkeypatch, words, worlds, randomise):
    made = []
    monkeypatch.setattr("handlab.experiments.training.new_run", made.append)
    monkeypatch.setattr(verb, "learn", lambda *args: made.append(args[3]))
    line = ["train", "valve", "--algorithm", "ppo", *words]
    make_app({"train"})(line, standalone_mode=False)
    config, count = made
    assert config.backend == "sim" and config.randomise == randomise and config.max_hours > 100
    assert count == config.algorithm_config().episodes_per_iteration == worlds


def test_a_graph_is_refused():
    with pytest.raises(BadConfig, match="ppo learns in simulations only: add --backend sim"):
        RunConfig("valve", algorithm="ppo")
