"""`./handlab train`: learn a task."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlab.cli.parameters import AsJson, Network, TaskName, finish
from handlab.cli.values import DEFAULT_WORLDS, SimulatedWorlds, given, option, path_option
from handlab.graph.options import ComposeOptions, ViewerOptions
from handlab.reporting.terminal import command, show
from handlab_core.errors import BadConfig, CannotWrite, HandlabError
from handlab_core.options import part
from handlab_core.system.validation import Text
from handlab_core.worlds.levels import FITTED, NONE
from handlab_learning.runs.options import LOCAL, RunOptions

SIMULATED_HOURS = 1000.0
"""Default limit of robot-hours of algorithms that learn in simulations only; chosen."""
MANY_WORLDS = 64
"""Number of simulated robots of such algorithms, if none is given."""

if TYPE_CHECKING:
    from handlab_learning.runs.directory import RunFolder


def train(
    context: typer.Context,
    run: RunOptions,
    graph_viewer: ViewerOptions,
    processes: ComposeOptions,
    task: TaskName = "",
    resume: Annotated[Path | None, path_option("Continue the run in this folder")] = None,
    settings: Annotated[
        list[str] | None, option(Text, "Setting of the algorithm: name=value; repeatable", "--set")
    ] = None,
    worlds: Annotated[
        str,
        option(
            SimulatedWorlds,
            "Number of simulated robots, with --backend sim; fitted: as --randomise fitted",
        ),
    ] = "20",
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Learn a task, from nothing or from demonstrations."""
    from handlab.experiments import training
    from handlab.experiments.demonstrations import source
    from handlab_learning.algorithms import ALGORITHMS
    from handlab_learning.algorithms.algorithm import known_algorithm
    from handlab_learning.policy_files.base_policy import GAIT
    from handlab_learning.runs.config import RunConfig, parse_settings
    from handlab_learning.runs.directory import RunFolder

    count = DEFAULT_WORLDS if worlds == FITTED else int(worlds)
    if resume is not None:
        folder = RunFolder(resume)
        learn(folder, as_json, True, count, graph_viewer.viewer, processes.compose)
        return
    if not task:
        raise BadConfig("name a task (see `handlab tasks`), or a run folder with --resume")
    chosen = part(run, RunOptions) | {"demos": source(task, run.algorithm, run.demos)}
    if worlds == FITTED:
        chosen["randomise"] = FITTED
    if chosen["randomise"] != NONE and not given(context, "backend"):
        chosen["backend"] = "sim"  # the only one whose worlds vary
    overrides = parse_settings(settings or [])
    if ALGORITHMS[known_algorithm(run.algorithm)].simulation_only:
        if not given(context, "backend"):
            chosen["backend"] = "sim"
        if not given(context, "max_hours"):
            chosen["max_hours"] = SIMULATED_HOURS
        if not given(context, "worlds"):
            count = MANY_WORLDS
        if run.workers == LOCAL:
            overrides = {"episodes_per_iteration": count} | overrides  # one of every world
    if run.base not in ("", GAIT):
        chosen["base"] = str(Path(run.base).resolve())
    config = RunConfig(task=task, settings=overrides, **chosen)
    folder = training.new_run(config)
    learn(folder, as_json, False, count, graph_viewer.viewer, processes.compose)


def learn(
    folder: "RunFolder",
    as_json: bool,
    resume: bool = False,
    worlds: int = 20,
    viewer: bool = False,
    compose: bool = False,
) -> None:
    """Carry out a run and print its result.

    Args:
        folder: run folder.
        as_json: print the summary as JSON, too.
        resume: continue from the newest checkpoint.
        worlds: number of simulated robots.
        viewer: serve the browser viewer.
        compose: run the nodes of every step in one process.
    """
    from handlab.experiments import training
    from handlab.reporting import run_report
    from handlab.reporting.progress import learned_text
    from handlab_learning.runs.evaluation import rate_text

    show(f"run folder: {folder.path}")
    try:
        summary = training.train(folder, resume, worlds, viewer=viewer, compose=compose)
    except (KeyboardInterrupt, SystemExit, HandlabError):
        if folder.config_path.is_file():
            show(f"go on with: {command('train', '--resume', folder.path)}")
        raise
    try:
        page = run_report.write(folder)
    except CannotWrite:
        show(f"the run has ended; write its report with: {command('report', folder.path)}")
        raise
    show(f"report: {page}")
    learned = learned_text(summary["robot_hours_to_success"], summary["algorithm"])
    print(
        f"{summary['task']}: {learned}; success {rate_text(summary)} of "
        f"{summary['evaluation_episodes']} episodes (strict {summary['strict_success_rate']:.0%}), "
        f"{summary['robot_hours']:.2f} robot-hours in {summary['wall_s'] / 60:.1f} min"
    )
    best, last = summary["best"], summary["last"]
    print(
        f"handed out: the best policy, iteration {best['iteration']}, success {rate_text(best)}; "
        f"the last, iteration {last['iteration']}: {rate_text(last)} ({summary['interval']})"
    )
    finish(summary, as_json)
