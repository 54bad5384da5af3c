"""Policy learner: the actions `train` and `evaluate`; the only node that needs torch."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.options import PaceOptions
from handlab_core.system.validation import Flag, checked
from handlab_interfaces.action import Evaluate, Train
from handlab_learning.models import optimizer_state
from handlab_learning.policy_files import saved_policy
from handlab_learning.policy_files.base_policy import base_of
from handlab_learning.runs.config import config_of
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import summarize
from handlab_learning.runs.trainer import Trainer
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.recorder_client import RecorderClient
from handlab_nodes.messages import topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import GoalServer
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, run
from handlab_nodes.runtime.parameters import TaskParams, read_params

LOOKS = 20
"""Events handled between two iterations; fewer arrive during a second of computation."""


@checked
class LearnerParams(TaskParams, PaceOptions):
    """Parameters of the node."""

    record: Annotated[
        Flag, Field(description="record final evaluations; needs a recorder in the graph")
    ] = False


class LearnerNode(Node):
    """Carries out one goal at a time.

    Robots wait while it learns from episodes of the present policy. An algorithm that learns from
    earlier episodes computes while they act: in real pace until the episode has ended, in lockstep
    as often as it is due, whatever that takes.
    """

    def __init__(self) -> None:
        super().__init__("learner")
        self._params = read_params(self, LearnerParams())
        optimizer_state.warm_up()  # before a goal, so that a cancelled goal ends at once
        self._sampler: GraphSampler | None = None
        self._iterations = 0
        self._recorder = RecorderClient(self, self._params.record)
        self._goal_servers = [
            GoalServer(self, action, topic, self._is_free, check)
            for action, topic, check in (
                (Train, topics.TRAIN, goal_checks.train(self._params.make_task())),
                (Evaluate, topics.EVALUATE, goal_checks.evaluate),
            )
        ]
        self._diagnostics = Diagnostics(self)

    def _is_free(self) -> bool:
        return all(server.goal is None for server in self._goal_servers)

    def work(self, loop: EventLoop) -> None:
        """Carry out the goal, if there is one."""
        server = next((server for server in self._goal_servers if server.goal is not None), None)
        if server is None or server.goal is None:
            return
        if self._sampler is None:
            self._sampler = GraphSampler(self, loop, self._params.make_task())
        is_train = isinstance(server.goal.request, Train.Goal)
        result = Train.Result() if is_train else Evaluate.Result()
        carry_out = self._train if is_train else self._evaluate

        def job(handle: ServerGoalHandle) -> None:
            result.summary = json.dumps(carry_out(handle, loop))

        server.carry_out(loop, result, job)

    def _train(self, handle: ServerGoalHandle, loop: EventLoop) -> dict[str, Any]:
        def on_row(row: dict[str, Any]) -> None:
            self._iterations += 1
            handle.publish_feedback(Train.Feedback(metrics=json.dumps(row)))

        assert self._sampler is not None
        sampler, realtime = self._sampler, self._params.pace == "real"
        goal, folder = handle.request, RunFolder(Path(handle.request.run_dir))
        config = config_of(goal.config, "config") if goal.config else folder.config()
        sampler.interventions = config.interventions
        trainer = Trainer(
            config,
            sampler,
            on_row,
            demonstrations=self._demonstrations(config.demos),
            base=base_of(config, folder),
            recording=self._recorder.recording(loop),
            stop=lambda: self._look_up(loop),
            enough=lambda: self._look_up(loop) or (realtime and sampler.ended),
        )
        return trainer.run(folder, goal.resume)

    def _look_up(self, loop: EventLoop) -> bool:
        """Handle the events that came during computation, such as a cancellation."""
        for _ in range(LOOKS):
            loop.once(0.0)
        return False

    def _demonstrations(self, bag: str) -> list[Episode]:
        """Read the demonstrations of the run, if it names any."""
        if not bag:
            return []
        from handlab_data.demonstration_reader import read_demonstrations

        return read_demonstrations(Path(bag), self._params.make_task())

    def _evaluate(self, handle: ServerGoalHandle, loop: EventLoop) -> dict[str, Any]:
        goal = handle.request
        task = self._params.make_task()
        policy = saved_policy.load(Path(goal.checkpoint)).policy(task)
        assert self._sampler is not None
        numbers = range(goal.first_episode, goal.first_episode + goal.episodes)
        plan = EpisodePlan(goal.seed, numbers, deterministic=True)
        done = []
        with self._recorder.recording(loop):
            for episode in self._sampler.sample(policy, plan):
                done.append(episode)
                rate = sum(e.success for e in done) / len(done)
                handle.publish_feedback(Evaluate.Feedback(completed=len(done), success_rate=rate))
        return summarize(done)

    def report(self) -> None:
        """Report the number of iterations."""
        self._diagnostics.publish(OK, "ready to learn", {"iterations": self._iterations})


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(LearnerNode, args=args)


if __name__ == "__main__":
    main()
