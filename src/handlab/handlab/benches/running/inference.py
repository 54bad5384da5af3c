"""Open-loop replay of demonstrations, with each way to infer their actions.

The engaged hand is reset and given the actions of a demonstration one after another, without
feedback. The result is the object's distance from the goal at the end.
"""

from typing import Any

import numpy as np

from handlab.benches.formatting import NOT_YET, with_command
from handlab.benches.result import Bench, Kept, Result, Table
from handlab.teaching.scripted import Classroom
from handlab_core.demonstrations.action_inference import DEFAULT_INFERENCE, INFERENCES
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig, lesson
from handlab_core.tasks import Task, make_task

TASKS = ("valve", "flip")
COUNT, NOISE = 20, 0.02


def measure(seed: int) -> Result:
    """Return the share of the valve's replays that succeed with the default inference."""
    details: dict[str, Any] = {name: _replayed(make_task(name), seed) for name in TASKS}
    value = details["valve"][DEFAULT_INFERENCE]["success_rate"]
    others = [v["success_rate"] for k, v in details["valve"].items() if k != DEFAULT_INFERENCE]
    used = {"inference": DEFAULT_INFERENCE, "demonstrations": COUNT, "noise": NOISE, "seed": seed}
    return Result(value, max(others), "share of replays", details | used)


def _replayed(task: Task, seed: int) -> dict[str, dict[str, float]]:
    room, found = Classroom(task, COUNT), {}
    motions = room.demonstrate(lesson(task), TeacherConfig(noise=NOISE), seed, range(COUNT))
    for name in INFERENCES:
        actions = np.stack([to_episode(m, task, name).trajectory.actions for m in motions], axis=1)
        angles = room.replay(actions, seed, range(COUNT))
        goals = np.array([motion.goal.angle[0, 0] for motion in motions])
        shown = np.stack([motion.object.angle for motion in motions])
        errors = angles[:, 1:] - goals[:, None]
        verdicts = [task.succeeded(row) for row in errors]
        found[name] = {
            "success_rate": float(np.mean([success for success, _ in verdicts])),
            "strict_success_rate": float(np.mean([strict for _, strict in verdicts])),
            "median_end_error": float(np.median(np.abs(errors[:, -1]))),
            "rms_from_shown": float(np.sqrt(np.square(angles - shown).mean())),
        }
    return found


INFERRED = {
    "next_position": "the next position itself",
    "servo": "with the servo's lag, without load",
    "loaded_servo": "with both (the default)",
}
"""Targets of the inferences of `handlab_core.demonstrations.action_inference`, in words."""


def inference_table(result: Kept | None) -> str:
    """Return the success of replayed actions, one row for each inference."""
    if result is None:
        return NOT_YET
    tasks = ("valve", "flip")
    heads = " | ".join(f"`{task}`: replays that succeed (strictly)" for task in tasks)
    rows = [f"| name | target | {heads} |", "|---" * 4 + "|"]
    for name, target in INFERRED.items():
        found = [result[task][name] for task in tasks]
        cells = [f"{f['success_rate']:.0%} ({f['strict_success_rate']:.0%})" for f in found]
        rows.append(f"| `{name}` | {target} | {' | '.join(cells)} |")
    return with_command(rows, result)


BENCH = Bench(measure, tables=(Table("inference", inference_table),))
