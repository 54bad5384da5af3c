"""Asks the learner of a running graph to train or to evaluate, and follows it."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.action import ActionClient

from handlab.up import BackgroundGraph
from handlab_core.errors import HandlabError, StationFault
from handlab_interfaces.action import Evaluate, Train
from handlab_learning.evaluate import ON_REQUEST
from handlab_nodes import topics
from handlab_nodes.spinner import POLL, guest

Row = dict[str, Any]


class GraphClient:
    """A client of the learner's actions, as a context."""

    def __init__(self, graph: BackgroundGraph) -> None:
        self._graph, self._leave = graph, ExitStack()
        self._node, self._spinner = self._leave.enter_context(guest("handlab", graph.domain))

    def __enter__(self) -> "GraphClient":
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._leave.close()

    def train(self, run_dir: str, resume: bool, on_row: Callable[[Row], None]) -> Row:
        """Train the run in a folder; return its summary."""
        goal = Train.Goal(run_dir=run_dir, resume=resume)

        def on_feedback(message: Any) -> None:
            on_row(json.loads(message.feedback.metrics))

        return self._follow(Train, topics.TRAIN, goal, on_feedback)

    def evaluate(
        self, checkpoint: str, episodes: int, seed: int, on_progress: Callable[[int, float], None]
    ) -> Row:
        """Evaluate a checkpoint; return its summary."""
        goal = Evaluate.Goal(checkpoint=checkpoint, episodes=episodes, seed=seed)
        goal.first_episode = ON_REQUEST

        def on_feedback(message: Any) -> None:
            on_progress(message.feedback.completed, message.feedback.success_rate)

        return self._follow(Evaluate, topics.EVALUATE, goal, on_feedback)

    def _follow(
        self, action: Any, topic: str, goal: Any, on_feedback: Callable[[Any], None]
    ) -> Row:
        client = ActionClient(self._node, action, topic)
        self._until(client.server_is_ready)
        sending = client.send_goal_async(goal, feedback_callback=on_feedback)
        self._until(sending.done)
        if not sending.result().accepted:
            raise StationFault("the learner is busy with another client")
        ending = sending.result().get_result_async()
        self._until(ending.done)
        result = ending.result().result
        if not result.success:
            raise HandlabError(result.message)
        return json.loads(result.summary)  # type: ignore[no-any-return]

    def _until(self, done: Callable[[], bool]) -> None:
        """Handle events until `done()`; StationFault if the graph ends before."""
        while not done():
            self._spinner.once(POLL)
            if (obituary := self._graph.obituary()) is not None:
                raise StationFault(obituary)
