"""A policy on a hand that is emulated down to the wire, in real time, beside MuJoCo alone.

Both hands: the claw on its servo bus, the Allegro hand on CAN with the valve's servo on a bus of
its own.
"""

import tempfile
from pathlib import Path
from typing import Any

from handlab.benches.result import Result
from handlab.experiments import training
from handlab.experiments.evaluation import evaluate
from handlab.graph.config import EMULATED, GraphConfig, on_machine
from handlab_learning.runs.config import RunConfig

EPISODES = 30
HOURS = 4.0
"""Robot-hours of training, in simulation and in this process, before a policy is judged."""

TASKS = {"dynamixel": "valve", "allegro": "allegro_valve"}
"""Hardware to what is learned for it."""


def measure(seed: int) -> Result:
    """Learn the valve with each hand in simulation, then evaluate the same policy both ways."""
    hands = {hardware: _compare(hardware, task, seed) for hardware, task in TASKS.items()}
    worst = max(hand["points"] for hand in hands.values())
    details = {"episodes": EPISODES, "robot_hours": HOURS, "hardware": hands, "seed": seed}
    return Result(worst, 10.0, "points of success apart", details)


def _compare(hardware: str, task: str, seed: int) -> dict[str, Any]:
    config = RunConfig(task=task, backend="sim", seed=seed, max_hours=HOURS, until="hours")
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = training.new_run(config, Path(scratch))
        training.train(folder, resume=False)
        alone = evaluate(folder.path, EPISODES, seed)
        graph = on_machine(GraphConfig(pace="real"), hardware, port=EMULATED)
        emulated = evaluate(folder.path, EPISODES, seed, graph)
    kept = ("success_rate", "strict_success_rate", "mean_final_error")
    return {
        "task": task,
        "points": 100 * abs(alone["success_rate"] - emulated["success_rate"]),
        "simulated": {key: alone[key] for key in kept},
        "emulated": {key: emulated[key] for key in kept},
    }
