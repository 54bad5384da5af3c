"""A policy on a hand that is emulated down to the wire, in real time, beside MuJoCo alone."""

import tempfile
from pathlib import Path

from handlab import training
from handlab.benches.result import Result
from handlab.evaluation import evaluate
from handlab.graph import EMULATED, GraphConfig, on_machine
from handlab_learning.run_config import RunConfig

EPISODES = 30
HOURS = 4.0
"""Robot-hours of training, in simulation and in this process, before the policy is judged."""


def measure(seed: int) -> Result:
    """Learn the valve in simulation, then evaluate the same policy both ways."""
    config = RunConfig(task="valve", backend="sim", seed=seed, max_hours=HOURS, until="hours")
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = training.new_run(config, Path(scratch))
        training.train(folder, resume=False)
        alone = evaluate(folder.path, EPISODES, seed)
        graph = on_machine(GraphConfig(pace="real"), "dynamixel", port=EMULATED)
        emulated = evaluate(folder.path, EPISODES, seed, graph)
    points = 100 * abs(alone["success_rate"] - emulated["success_rate"])
    details = {
        "episodes": EPISODES,
        "simulated": {key: alone[key] for key in ("success_rate", "strict_success_rate")},
        "emulated": {key: emulated[key] for key in ("success_rate", "strict_success_rate")},
        "seed": seed,
    }
    return Result(points, 10.0, "points of success apart", details)
