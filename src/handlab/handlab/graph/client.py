"""Asks the nodes of a running graph for what takes time, and follows it."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from handlab.graph.emergency_stop import GraphSwitch
from handlab.graph.live_diagnostics import DiagnosticsMonitor
from handlab.graph.processes import Graph
from handlab.operation.intervention_keys import InterventionKeys
from handlab.operation.stop_key import StopKey
from handlab.reporting.terminal import show
from handlab_core.environment.intervention import PERSON
from handlab_core.errors import HandlabError, StationFault
from handlab_core.tasks import make_task
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Evaluate, RecordDemonstration, ReplayDemonstration, Train
from handlab_interfaces.srv import TellDemonstration
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import ON_REQUEST
from handlab_nodes.clients.person import intervention_msg
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.actions import deliver
from handlab_nodes.runtime.event_loop import POLL, guest
from handlab_nodes.runtime.safe_actions import SafeActionClient

Row = dict[str, Any]

KEEP_TIMEOUT = 0.8
"""Seconds for a goal that is cancelled by Ctrl-C to end with a result."""


class GraphClient:
    """A client of the graph's actions, as a context."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._leave = graph, ExitStack()
        self._operator: Any = None
        self._node, self._loop = self._leave.enter_context(
            guest("_handlab", graph.domain, graph.simulated)
        )
        self._watch = DiagnosticsMonitor(graph.names, show).listen(self._node)
        switch = GraphSwitch(graph, self._node)
        self.stop_key = self._leave.enter_context(StopKey(switch, switch.has_drivers))
        """Emergency stop by the keyboard, and its other keys."""

    def __enter__(self) -> "GraphClient":
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._leave.close()

    def train(self, folder: RunFolder, resume: bool, on_row: Callable[[Row], None]) -> Row:
        """Have the learner train a run; return its summary."""
        run = folder.config()
        config = json.dumps(run.as_data())
        goal = Train.Goal(run_dir=str(folder.path), resume=resume, config=config)
        between = self._intervene(run) if run.interventions == PERSON else lambda: None

        def on_feedback(feedback: Any) -> None:
            on_row(json.loads(feedback.metrics))

        return self._follow(Train, topics.TRAIN, goal, on_feedback, between)

    def _intervene(self, run: RunConfig) -> Callable[[], None]:
        """Return a function that sends what the person's keys ask for; it reads all new keys."""
        hand = make_task(run.task).hand
        publisher = self._node.create_publisher(wire.Intervention, topics.INTERVENTION, qos.COMMAND)
        keys = InterventionKeys(
            hand, lambda mode, step: publisher.publish(intervention_msg(mode, step))
        )
        if self.stop_key.present:
            show(keys.hint)

        def read() -> None:
            while key := self.stop_key.pressed():
                keys.press(key)

        return read

    def evaluate(
        self, checkpoint: str, episodes: int, seed: int, on_progress: Callable[[int, float], None]
    ) -> Row:
        """Evaluate a checkpoint; return its summary."""
        goal = Evaluate.Goal(checkpoint=checkpoint, episodes=episodes, seed=seed)
        goal.first_episode = ON_REQUEST

        def on_feedback(feedback: Any) -> None:
            on_progress(feedback.completed, feedback.success_rate)

        return self._follow(Evaluate, topics.EVALUATE, goal, on_feedback)

    def record(
        self,
        goal: RecordDemonstration.Goal,
        on_feedback: Callable[[Any], None],
        between: Callable[[], None],
    ) -> RecordDemonstration.Result:
        """Record demonstrations; `between` is called several times a second."""
        return self._carry_out(
            RecordDemonstration, topics.RECORD_DEMONSTRATION, goal, on_feedback, between, kept=True
        )

    def replay(
        self, goal: ReplayDemonstration.Goal, on_feedback: Callable[[Any], None]
    ) -> ReplayDemonstration.Result:
        """Replay demonstrations."""
        return self._carry_out(ReplayDemonstration, topics.REPLAY_DEMONSTRATION, goal, on_feedback)

    def send_command(self, word: int) -> str:
        """Send an operator command to the demonstrator; return why it was refused."""
        if self._operator is None:
            self._operator = self._node.create_client(TellDemonstration, topics.TELL)
        future = self._operator.call_async(TellDemonstration.Request(word=word))
        self._until(future.done)
        return str(future.result().message)

    def _follow(
        self,
        action: Any,
        topic: str,
        goal: Any,
        on_feedback: Callable[[Any], None],
        between: Callable[[], None] = lambda: None,
    ) -> Row:
        result = self._carry_out(action, topic, goal, on_feedback, between)
        if not result.success:
            raise HandlabError(result.message)
        return json.loads(result.summary)  # type: ignore[no-any-return]

    def _carry_out(
        self,
        action: Any,
        topic: str,
        goal: Any,
        on_feedback: Callable[[Any], None],
        between: Callable[[], None] = lambda: None,
        kept: bool = False,
    ) -> Any:
        """Send a goal, follow it, and return its result.

        Args:
            action: its type.
            topic: its name.
            goal: message to send.
            on_feedback: is given all feedback.
            between: called several times a second.
            kept: at Ctrl-C cancel it and wait, so that the finished part is kept.
        """
        client = SafeActionClient(self._node, action, topic)
        self._until(client.server_is_ready)
        sent = deliver(client, action, goal, self._until, lambda m: on_feedback(m.feedback))
        if sent is None:
            raise StationFault(f"{topic} is busy with another client")
        handle, ending = sent
        try:
            self._until(ending.done, between)
        except KeyboardInterrupt:
            if not kept:
                raise
            handle.cancel_goal_async()
            limit = time.monotonic() + KEEP_TIMEOUT
            self._until(lambda: ending.done() or time.monotonic() > limit)
            if not ending.done():  # the recorder closes its bag, too, when it is asked to end
                raise
        return ending.result().result

    def _until(self, done: Callable[[], bool], between: Callable[[], None] = lambda: None) -> None:
        """Handle events until `done()`; StationFault if the graph ends before or cannot start."""
        while not done():
            self._loop.once(POLL)
            between()
            self._watch.check()
            if (reason := self._graph.exit_reason()) is not None:
                raise StationFault(reason)
