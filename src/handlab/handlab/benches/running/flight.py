"""Flight recorder: failed episodes of a graph, repeated bit for bit from their bag."""

import tempfile
from pathlib import Path

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.graph import await_nodes
from handlab.graph.config import GraphConfig
from handlab.graph.processes import BackgroundGraph
from handlab.teaching.exact_replay import replay_exactly
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import StationFault
from handlab_core.tasks import make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.recorder_client import RecorderClient
from handlab_nodes.runtime.event_loop import guest

TASK, EPISODES = "valve", 100


def measure(seed: int, episodes: int = EPISODES) -> Result:
    """Record episodes of a policy that has learned nothing, and repeat those that fail.

    Args:
        seed: of policy, starts and goals.
        episodes: number of failed episodes to repeat.

    Raises:
        StationFault: too few episodes failed.
    """
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        bag = Path(scratch, "bag")
        # Some more: an episode may succeed by chance.
        ran = record_episodes(bag, seed, episodes + 1 + episodes // 10)
        replays = [one for one in replay_exactly(bag) if not one.success][:episodes]
    if len(replays) < episodes:
        raise StationFault(f"{len(replays)} whole episodes of {ran} failed, not {episodes}")
    exact = sum(one.first is None for one in replays)
    details = {
        "episodes": episodes,
        "compared": sum(one.numbers for one in replays),
        "differ": sum(one.different for one in replays),
        "seed": seed,
    }
    return Result(exact, episodes, "failed episodes repeated to the last bit", details)


def record_episodes(bag: Path, seed: int, episodes: int) -> int:
    """Record episodes of a graph in lockstep; return their number."""
    task = make_task(TASK)
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    config = GraphConfig(task.name, learner=False, bag=str(bag))
    with (
        BackgroundGraph(config, bag.with_name("nodes.log")) as graph,
        guest("learner", graph.domain, graph.simulated) as (node, loop),
    ):
        await_nodes(config, loop, graph.exit_reason)
        with RecorderClient(node, True).recording(loop):
            plan = EpisodePlan(seed, range(episodes))
            return len(list(GraphSampler(node, loop, task).sample(policy, plan)))


def _cell(result: Kept) -> str:
    differ = f"{result['differ']} of {result['compared']} numbers differ"
    return f"**{result['value']:.0f}** of {result['episodes']}; {differ}"


BENCH = Bench(
    measure,
    figure=Figure("failed episodes that repeat bit for bit from their bag", "100 of 100", _cell),
)
