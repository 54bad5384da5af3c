"""Success over sizes, shapes, friction and masses of the object, trained with them and without.

Two policies learn each task from the same demonstrations: one with the object as it is described,
one with another object in every episode. Both are judged at points of each quantity, the others as
described, and with all quantities drawn together. A little noise of the sensors makes the episodes
of a point differ.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt
import numpy as np
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all, learn_in_worlds
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.experiments.task_kinds import local_sampler
from handlab.reporting.learning_curves import save_figure
from handlab_core.objects.fixture import xacro_arguments
from handlab_core.system.paths import share
from handlab_core.system.validation import Count, checked
from handlab_core.tasks import Task, make_task
from handlab_core.tasks.variation import QUANTITIES, parse_variations
from handlab_learning.runs.evaluation import AFTER_TRAINING, Evaluator, summarize

NAME = "sizes"
TASKS = ("valve", "flip")
ASKED = 0.9
"""Success that is asked of policies that trained with the variations; chosen."""

DRAWN = {
    "object.scale": "0.8,0.9,1,1.1,1.2",
    "object.friction": "0.3:2",
    "object.mass": "0.5:4",
    "object.lobes": "2,3,4,5",
}
"""Ranges from which training draws. Each size and each number of lobes is compiled once."""

POINTS = {
    "object.scale": (0.8, 0.9, 1.0, 1.1, 1.2),
    "object.friction": (0.3, 0.6, 1.0, 1.5, 2.0),
    "object.mass": (0.5, 1.0, 2.0, 3.0, 4.0),
    "object.lobes": (2, 3, 4, 5),
}
"""Values at which policies are judged."""

NOISE = ("sensor.noise=0.005", "sensor.object=0.01")
"""Noise in the episodes that judge; without any, all episodes of a point would be the same."""

AT_POINT, TOGETHER = 20, 60
"""Episodes at each point, and with all quantities drawn."""

FIXED, VARIED = "described", "varied"
"""Objects that a policy trains with."""

PICTURE = Path("docs", "images", "sizes.png")
"""Path in the workspace."""

COLORS = {FIXED: "#9aa5b1", VARIED: "#2b6cb0"}


@checked
class SizesOptions(TasksOptions):
    """Options of the bench."""

    seeds: Annotated[Count, Field(le=20, description="Number of policies of each kind")] = 3
    iterations: Annotated[
        Count, Field(le=10_000, description="Iterations of each training, 64 episodes each")
    ] = 20


def measure(seed: int, options: SizesOptions) -> Result:
    """Train and judge; return the least success of varied policies, all quantities drawn."""
    tasks = chosen("tasks", options.tasks, TASKS)
    names = [f"{task} {kind} {options.iterations}" for task in tasks for kind in (FIXED, VARIED)]
    done = learn_all(_learn, names, range(seed, seed + options.seeds))
    runs = {name.rpartition(" ")[0]: policies for name, policies in done.items()}
    made = origin(NAME)
    fresh = {
        task: {kind: _row(runs[f"{task} {kind}"]) for kind in (FIXED, VARIED)}
        | {"iterations": options.iterations, "commit": made["commit"], "date": made["date"]}
        for task in tasks
    }
    known = kept(NAME, "rows") | fresh
    rows = {task: known[task] for task in TASKS if task in known}
    value = min(float(np.mean(row[VARIED]["together"])) for row in rows.values())
    details = {"rows": rows, "seed": seed}
    return Result(value, ASKED, "success", details, lambda: draw(rows, share() / PICTURE))


def quantities(task: Task) -> list[str]:
    """Return the quantities that the task's object has."""
    known = xacro_arguments(task.fixture)
    return [name for name in POINTS if name != "object.lobes" or "lobes" in known]


def _row(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of one kind of training; lists have one value for each policy."""
    points = {
        name: [[run["points"][name][k] for run in runs] for k in range(len(POINTS[name]))]
        for name in runs[0]["points"]
    }
    return {"together": [run["together"] for run in runs], "points": points}


def _learn(root: str, name: str, seed: int) -> dict[str, Any]:
    """Train one policy, and judge it."""
    task_name, kind, iterations = name.split()
    task = make_task(task_name)
    drawn = [f"{quantity}={DRAWN[quantity]}" for quantity in quantities(task)]
    policy, _ = learn_in_worlds(
        Path(root, f"{task_name}-{kind}-{seed}"), task_name, seed, int(iterations),
        vary=drawn if kind == VARIED else (),
    )  # fmt: skip

    def success(texts: Sequence[str], episodes: int) -> float:
        sampler = local_sampler(task, episodes, 1, variations=parse_variations([*texts, *NOISE]))
        verdict = Evaluator(sampler, seed, episodes).run(policy, AFTER_TRAINING)
        return float(summarize(verdict)["success_rate"])

    run = {
        "points": {
            quantity: [success([f"{quantity}={value}"], AT_POINT) for value in POINTS[quantity]]
            for quantity in quantities(task)
        },
        "together": success(drawn, TOGETHER),
    }
    print_row({"task": task_name, "trained": kind, "seed": seed} | run)
    return run


def draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw success over each quantity, a row of pictures for each task."""
    figure, axes = plt.subplots(
        len(rows), len(POINTS), figsize=(13, 2.9 * len(rows)), sharey=True, squeeze=False
    )
    for line, (task, row) in zip(axes, rows.items(), strict=True):
        for axis, (name, values) in zip(line, POINTS.items(), strict=True):
            axis.set_visible(name in row[VARIED]["points"])
            for kind, color in COLORS.items():
                rates = row[kind]["points"].get(name, [])
                means = [100 * float(np.mean(each)) for each in rates]
                axis.plot(values[: len(means)], means, "o-", color=color, label=kind)
            axis.set(xlabel=f"{name} ({QUANTITIES[name].what.partition(';')[0]})", ylim=(-4, 104))
            axis.xaxis.label.set_size(8)
            axis.grid(alpha=0.25)
        line[0].set_ylabel(f"{task}: success, %")
    axes[0, 0].legend(frameon=False, title="trained with objects", fontsize=8, title_fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path, dpi=110)


def sizes_table(result: Kept | None) -> str:
    """Return the table of success over sizes, shapes, friction and masses."""
    if result is None:
        return NOT_YET
    heads = [name.removeprefix("object.") for name in POINTS]
    rows = [
        f"| task: trained with objects | all drawn together | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(heads)}",
    ]
    for task, row in result["rows"].items():
        for kind in (FIXED, VARIED):
            cells = [f"`{task}`: {kind}", f"**{np.mean(row[kind]['together']):.0%}**"]
            for name in POINTS:
                rates = [float(np.mean(each)) for each in row[kind]["points"].get(name, [])]
                cells.append(", ".join(f"{rate:.0%}" for rate in rates))
            rows.append(f"| {' | '.join(cells)} |")
    at = "; ".join(
        f"{name.removeprefix('object.')} {', '.join(f'{value:g}' for value in values)}"
        for name, values in POINTS.items()
    )
    return with_command([*rows, "", f"At: {at}. Mean of the policies."], result)


def _cell(result: Kept) -> str:
    parts = [
        f"`{task}` **{np.mean(row[VARIED]['together']):.0%}** "
        f"({np.mean(row[FIXED]['together']):.0%} without)"
        for task, row in result["rows"].items()
    ]
    return f"{'; '.join(parts)}; [more](docs/results.md#sizes-and-shapes)"


BENCH = Bench(
    measure,
    options=SizesOptions,
    parts=("tasks", TASKS),
    figure=Figure(
        "success with objects of sizes 0.8 to 1.2, two to five lobes, friction 0.3 to 2, mass 0.5 "
        "to 4, trained with them",
        "90 %",
        _cell,
    ),
    tables=(Table("sizes", sizes_table),),
)
