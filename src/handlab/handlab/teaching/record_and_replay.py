"""Record and replay demonstrations through a graph that is started for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.progress import Progress

from handlab.graph.calibration import calibration_of
from handlab.graph.client import GraphClient
from handlab.graph.config import GraphConfig
from handlab.graph.options import PERSON
from handlab.graph.processes import BackgroundGraph
from handlab.operation.stop_key import HINT
from handlab.reporting.terminal import console
from handlab_core.demonstrations.segmentation import OperatorCommand
from handlab_core.errors import BadConfig, HandlabError
from handlab_core.tasks import make_task
from handlab_data.demonstration_reader import Recording, episodes_of
from handlab_interfaces.action import RecordDemonstration, ReplayDemonstration

KEYS = {"a": OperatorCommand.ACCEPT, "d": OperatorCommand.DROP}
"""Commands by key, besides those of Enter."""

HELP = f"Enter: begin or end; a: accept; d: drop; {HINT}"

ENTER = {"waiting": OperatorCommand.BEGIN, "guiding": OperatorCommand.END}
"""Commands of Enter by the stage of the demonstration."""


def new_bag(task: str) -> Path:
    """Return a folder for a recording without a given folder."""
    return Path("recordings") / f"{datetime.now():%Y%m%d-%H%M%S}-{task}"


def record(
    config: GraphConfig, episodes: int, seed: int, keep: bool = False, hold: float = 0.0
) -> dict[str, Any]:
    """Record demonstrations into the bag that the configuration names.

    Args:
        config: of the graph; with a teacher and a bag.
        episodes: how many.
        seed: of starts and goals.
        keep: accept those of the scripted teacher that do not succeed, too.
        hold: N m, with which passive joints resist, so that they do not fall.

    Raises:
        BadConfig: the bag exists.
        HandlabError: the recording ended early; says why.
    """
    bag = Path(config.bag)
    if bag.exists():
        raise BadConfig(f"{bag} exists; choose another folder for the recording, or remove it")
    person = config.teacher == PERSON
    config = replace(
        config, bag=str(bag.resolve()), runner=False, learner=False, seed=seed,
        calibration=calibration_of(config),
    )  # fmt: skip
    goal = RecordDemonstration.Goal(
        episodes=list(range(episodes)), seed=seed, keep=keep, at_once=not person,
        hold=hold,
    )  # fmt: skip
    with (
        BackgroundGraph(config, bag.with_suffix(".log")) as graph,
        GraphClient(graph) as client,
        Progress(console=console) as bar,
    ):
        goal.ask = person and client.stop_key.present
        shown = Shown(bar, episodes)
        if goal.ask:
            console.print(HELP)
            result = client.record(goal, shown.feedback, lambda: _on_key(client, shown.stage))
        else:
            client.stop_key.announce()
            result = client.record(goal, shown.feedback, lambda: None)
    if not result.success:
        raise HandlabError(f"recording ended early: {result.message}; bag: {bag}")
    return {"bag": str(bag), "episodes": result.accepted, "dropped": list(result.dropped)}


class Shown:
    """Progress on the screen."""

    def __init__(self, bar: Progress, total: int) -> None:
        self.stage = ""
        self._bar, self._task = bar, bar.add_task("starting", total=total)

    def feedback(self, value: RecordDemonstration.Feedback) -> None:
        """Show how far the present demonstration is."""
        self.stage = value.stage
        text = f"{value.episode}: {value.stage} {value.elapsed:5.1f} s, {value.error:+.2f} rad off"
        done = value.stage in ("accepted", "dropped")
        self._bar.update(self._task, description=text, advance=int(done))
        if value.stage == "dropped":
            console.print(f"{value.episode} dropped: {value.reason}")


def _on_key(client: GraphClient, stage: str) -> None:
    key = client.stop_key.pressed()
    word = ENTER.get(stage) if key in ("\n", "\r") else KEYS.get(key)
    if word is not None and (refusal := client.send_command(word.value)):
        console.print(refusal)


def replay(
    config: GraphConfig,
    bag: Path,
    episodes: list[int],
    reset: bool,
    on_feedback: Callable[[ReplayDemonstration.Feedback], None] | None = None,
) -> dict[str, Any]:
    """Replay demonstrations of a bag on a hand, or only show them, as the configuration says.

    Raises:
        HandlabError: the replay ended early; says why.
    """
    config = replace(config, runner=False, learner=False, calibration=calibration_of(config))
    goal = ReplayDemonstration.Goal(bag=str(bag.resolve()), episodes=episodes, reset=reset)
    log = Path("recordings") / "replay.log"
    with BackgroundGraph(config, log) as graph, GraphClient(graph) as client:
        client.stop_key.announce()
        result = client.replay(goal, on_feedback or (lambda _: None))
    if not result.success:
        raise HandlabError(result.message)
    errors = [float(error) for error in result.object_errors]
    return {"bag": str(bag), "episodes": result.replayed, "object_errors": errors}


def as_data(recording: Recording, numbers: Sequence[int] = ()) -> dict[str, Any]:
    """Return a row of figures for each episode that learning gets from a bag.

    Args:
        recording: the bag.
        numbers: of the demonstrations to use; empty: all.

    Raises:
        BadDemonstrations: one of them is not there, or none can be used.
    """
    task_name = recording.session.task
    episodes = [
        {
            "episode": episode.number,
            "steps": episode.steps,
            "return": round(episode.episode_return, 1),
            "error": round(float(episode.trajectory.errors[-1]), 3),
            "success": episode.success,
            "strict": episode.outcome.strict_success,
        }
        for episode in episodes_of(recording, make_task(task_name), numbers=numbers)
    ]
    return {"bag": str(recording.path), "task": task_name, "episodes": episodes}
