"""A policy on a hand that is emulated down to the wire, in real time, beside MuJoCo alone.

Both hands: the claw on its servo bus, the Allegro hand on CAN with the valve's servo on a bus of
its own.
"""

import tempfile
from pathlib import Path
from typing import Any

from handlab.benches.formatting import rate_text
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.experiments import training
from handlab.experiments.evaluation import evaluate
from handlab.graph.config import GraphConfig, on_machine
from handlab_core.options import EMULATED
from handlab_learning.runs.config import RunConfig

EPISODES = 30
HOURS = 4.0
"""Robot-hours of training, in simulation and in this process, before a policy is judged."""

TASKS = {"dynamixel": "valve", "allegro": "allegro_valve"}
"""Task by hardware."""


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


def _cell(result: Kept) -> str:
    texts = []
    for hand in result["hardware"].values():
        emulated, simulated = (
            rate_text(hand[way], result["episodes"], "") for way in ("emulated", "simulated")
        )
        texts.append(f"`{hand['task']}` **{hand['points']:.0f}** ({emulated} beside {simulated})")
    return ", ".join(texts)


BENCH = Bench(
    measure,
    figure=Figure(
        "policies on hands emulated to the wire: points of success from MuJoCo",
        "within 10 over 30 episodes",
        _cell,
        key=True,
    ),
)
