"""Success of a policy while one quantity of its task is varied: figures and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt

from handlab.experiments.task_kinds import Simulation, kind_of
from handlab.reporting.learning_curves import save_figure
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.errors import BadConfig
from handlab_core.estimation.estimator_table import ENCODER
from handlab_core.hardware.backend_table import DEFAULT
from handlab_core.tasks.variation import QUANTITIES, Variation
from handlab_learning.policy_files import saved_policy
from handlab_learning.runs import checkpoint as checkpoints
from handlab_learning.runs.evaluation import ON_REQUEST, rate_text, summarize

GREEN, BLUE, GREY = "#2f9e58", "#2b6cb0", "#9aa5b1"


def evaluate_varied(
    path: Path,
    variations: Sequence[Variation],
    points: int,
    episodes: int,
    seed: int,
    estimator: str = ENCODER,
    num_envs: int = 20,
    threads: int = 2,
    policy: str = "",
    hardware: str = DEFAULT,
) -> dict[str, Any]:
    """Judge a checkpoint's policy at points of each variation, one varied at a time.

    Args:
        path: of a run, or of a checkpoint in one.
        variations: quantities and their ranges.
        points: of a range, its ends included.
        episodes: at each point, the same starts and goals at all.
        seed: of the episodes' starts and goals.
        estimator: name of the estimator of the objects.
        num_envs: robots simulated side by side.
        threads: to simulate them on.
        policy: of a run, `best` or `last`; empty: the best, if the run keeps one.
        hardware: name of a simulated backend.

    Returns:
        Figures of all episodes as `summarize` returns them; `vary`, by name a list of the figures
        at each value; `plots`, by name the path of a PNG in the checkpoint's run.

    Raises:
        BadConfig: there is no episode to run.
    """
    if episodes < 1:
        raise BadConfig(f"an evaluation needs at least 1 episode, not {episodes}: --episodes 30")
    saved = saved_policy.load(path, policy)
    task = saved.task()
    acting, kind = saved.policy(task), kind_of(task)
    plan = EpisodePlan(seed, range(ON_REQUEST, ON_REQUEST + episodes), deterministic=True)
    simulation = Simulation(num_envs, threads, estimator, hardware)
    every: list[Episode] = []
    table: dict[str, list[dict[str, Any]]] = {}
    plots = {}
    for variation in variations:
        rows = table[variation.name] = []
        for value in variation.points(points):
            sampler = kind.sampler_at(task, simulation, variation.fixed(value))
            done = list(sampler.sample(acting, plan))
            rows.append({"value": value} | summarize(done))
            every += done
        plots[variation.name] = _run_folder(saved.manifest_path) / f"vary-{variation.name}.png"
        plot(variation.name, rows, plots[variation.name])
    varied = {"vary": table, "plots": {n: str(p) for n, p in plots.items()}}
    return summarize(every) | saved.named() | varied


def _run_folder(manifest: Path) -> Path:
    """Return the run folder of a checkpoint's manifest; its own folder if it is in no run."""
    folder = manifest.parent
    return folder.parent if folder.name in checkpoints.FOLDERS else folder


def table_lines(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the figures of one variation as lines for a terminal."""
    head = f"{name:>18} {'success':>16} {'strict':>8} {'return':>9} {'error, rad':>11}"
    return [head] + [
        f"{row['value']:18.4g} {rate_text(row):>16} {row['strict_success_rate']:8.0%} "
        f"{row['mean_return']:9.1f} {row['mean_final_error']:11.3f}"
        for row in rows
    ]


def plot(name: str, rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw success over the values of one variation."""
    figure, axes = plt.subplots(figsize=(7, 4))
    values = [row["value"] for row in rows]
    for column, label, color in (
        ("success_rate", "within tolerance in the last fifth", GREEN),
        ("strict_success_rate", "strict", BLUE),
    ):
        axes.plot(values, [100 * row[column] for row in rows], "o-", color=color, label=label)
    axes.set(xlabel=f"{name} ({QUANTITIES[name].what})", ylabel="success, %", ylim=(-4, 104))
    axes.set_title(f"{rows[0]['episodes']} episodes at each point", fontsize=10)
    axes.grid(color=GREY, alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    save_figure(figure, path, dpi=110)
