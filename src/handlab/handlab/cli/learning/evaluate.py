"""`./handlab evaluate`: run a policy."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from handlab.cli.fields import option_of
from handlab.cli.parameters import AsJson, Network, Seed, Vary, finish
from handlab.cli.values import Episodes, Points, option, path_argument
from handlab_core.errors import BadConfig
from handlab_core.options import BagOptions, StationOptions
from handlab_core.system.validation import Text
from handlab_learning.runs.options import RunOptions


def evaluate(
    checkpoint: Annotated[Path, path_argument("A run, a checkpoint in one, or a skill (*.onnx)")],
    station: StationOptions,
    episodes: Annotated[int, option(Episodes)] = 30,
    backend: Annotated[str, option_of(RunOptions, "backend")] = "sim",
    vary: Vary = None,
    points: Annotated[int, option(Points, "Values of each varied range, with both ends")] = 5,
    policy: Annotated[
        str, option(Text, "best or last, of a run; default: the best, if the run keeps one")
    ] = "",
    bag: Annotated[
        str, option_of(BagOptions, "bag", "Folder of a recording; with --backend graph")
    ] = "",
    seed: Seed = 0,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Run a policy without noise and print how often it succeeds."""
    from handlab.experiments import evaluation, robustness
    from handlab.graph.config import GraphConfig, on_station
    from handlab.operation.stop_key import SimulatedHands, StopKey
    from handlab_core.hardware.backend_table import backend_spec
    from handlab_core.tasks.variation import parse_variations
    from handlab_data.bag_folder import check_bag_folder
    from handlab_learning.runs.evaluation import rate_text

    graph = on_station(GraphConfig(pace=backend_spec(station.hardware).learning_pace), station)
    here = backend == "sim" and graph.simulated
    if bag and here:
        raise BadConfig("the recorder is a node of the graph: add --backend graph")
    if bag:
        check_bag_folder(Path(bag))
        graph = replace(graph, bag=str(Path(bag).resolve()))
    if vary and not here:
        raise BadConfig("what varies is simulated in this process: leave --backend and --hardware")
    if vary:
        variations = parse_variations(vary)
        with StopKey(SimulatedHands()) as stop_key:
            stop_key.announce()
            verdict = robustness.evaluate_varied(
                checkpoint,
                variations,
                points,
                episodes,
                seed,
                estimator=station.estimator,
                policy=policy,
                hardware=station.hardware,
            )
        for name, rows in verdict["vary"].items():
            print("\n".join(robustness.table_lines(name, rows)))
            print(f"plot: {verdict['plots'][name]}")
    else:
        verdict = evaluation.evaluate(
            checkpoint,
            episodes,
            seed,
            None if here else graph,
            estimator=station.estimator,
            policy=policy,
            hardware=station.hardware,
        )
    print(
        f"policy: {verdict['policy']}, iteration {verdict['iteration']} ({verdict['checkpoint']})"
    )
    print(
        f"success {rate_text(verdict)} (strict {rate_text(verdict, 'strict_success_rate')}) "
        f"of {verdict['episodes']} episodes, mean return {verdict['mean_return']:.1f}; "
        f"intervals: {verdict['interval']}"
    )
    finish(verdict, as_json)
