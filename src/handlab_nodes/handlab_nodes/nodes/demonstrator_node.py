"""Demonstrator: an action server that lets the hand go, follows its guide, and judges.

Before each demonstration the station is reset. The episode is computed from the received streams.
A recorder, if there is one, records the same streams and the marks of begin and end.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_srvs.srv import SetBool

from handlab_core.demonstrations.recording import Motion, to_episode
from handlab_core.demonstrations.segmentation import (
    DemonstrationSegmenter,
    OperatorCommand,
    Phase,
    SegmenterConfig,
)
from handlab_core.environment.episode import Episode
from handlab_core.environment.station import ResetResult, start_request
from handlab_core.errors import BadDemonstrations, HandStopped
from handlab_core.options import BackendOptions, PaceOptions, RateOptions
from handlab_core.system import batch
from handlab_core.system.validation import Flag, Text, checked
from handlab_core.types import JointState, ObjectEstimate, Sample
from handlab_interfaces import msg as wire
from handlab_interfaces.action import RecordDemonstration
from handlab_interfaces.srv import TellDemonstration
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.clients.recorder_client import RecorderClient
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import GoalServer, announce
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.simulated_clock import clock_of

VERDICT_TIMEOUT = 600.0
"""Seconds of wall time; longest wait for a person's verdict."""

Mark = wire.DemonstrationMark


@checked
class DemonstratorParams(TaskParams, RateOptions, PaceOptions, BackendOptions):
    """Parameters of the node."""

    teacher: Annotated[Text, Field(description="the guide of the hand, in words")] = "person"
    guided: Annotated[
        Flag, Field(description="the node `teacher` guides; a simulation waits for it")
    ] = False
    record: Annotated[Flag, Field(description="record; needs a recorder in the graph")] = False
    calibration: Annotated[str, Field(description="calibration of the station, as YAML")] = ""


class DemonstratorNode(Node):
    """Carries out one goal at a time."""

    def __init__(self) -> None:
        super().__init__("demonstrator")
        self._params = read_params(self, DemonstratorParams())
        self._task = self._params.make_task()
        self._station: GraphStation | None = None
        self._command: OperatorCommand | None = None
        self._stage = ""
        self._streams = Streams(self, self._task.hand.joints)
        self._marks = self.create_publisher(Mark, topics.MARK, qos.EPISODES)
        self._episodes = self.create_publisher(wire.Episode, topics.EPISODE, qos.EPISODES)
        self._sessions = self.create_publisher(
            wire.DemonstrationSession, topics.SESSION, qos.LATCHED
        )
        mine = self._marks, self._episodes, self._sessions
        self._recorder = RecorderClient(self, self._params.record, mine)
        self._lead_clients = {
            t: self.create_client(SetBool, t) for t in (topics.GUIDED, topics.LEAD)
        }
        self.create_service(TellDemonstration, topics.TELL, self._on_command)
        self._watch = DriverMonitor(self)
        self._goal_server = GoalServer(
            self,
            RecordDemonstration,
            topics.RECORD_DEMONSTRATION,
            lambda: self._goal_server.goal is None,
            goal_checks.record(self._task),
            watch=self._watch,
        )
        announce(self, topics.RECORD_DEMONSTRATION)
        self._diagnostics = Diagnostics(self)

    def _on_command(
        self, request: TellDemonstration.Request, response: TellDemonstration.Response
    ) -> TellDemonstration.Response:
        expected = {
            Phase.WAITING: (OperatorCommand.BEGIN, OperatorCommand.DROP),
            Phase.GUIDING: (OperatorCommand.END, OperatorCommand.DROP),
            "verdict": (OperatorCommand.ACCEPT, OperatorCommand.DROP),
        }.get(self._stage, ())
        response.success = request.word in [word.value for word in expected]
        if response.success:
            self._command = OperatorCommand(request.word)
        else:
            known = ", ".join(word.name for word in expected) or "nothing"
            response.message = f"now is the time for {known} ({self._stage or 'idle'})"
        return response

    # The goal.

    def work(self, loop: EventLoop) -> None:
        """Carry out the goal, if there is one."""
        handle = self._goal_server.goal
        if handle is None:
            return
        if self._station is None:
            lockstep = self._params.pace == "lockstep"
            self._station = GraphStation(self, loop, self._task, lockstep, watch=self._watch)
        result = RecordDemonstration.Result()

        def job(handle: ServerGoalHandle) -> None:
            carry_out = partial(self._through_stops, loop)
            with self._recorder.recording(loop, carry_out):
                try:
                    carry_out(lambda: self._introduce(loop))
                    for number in handle.request.episodes:
                        why = self._demonstrate(handle, int(number), loop)
                        if why:
                            result.dropped.append(f"{number}: {why}")
                        result.accepted += not why
                finally:
                    self._stage = ""

        self._goal_server.carry_out(loop, result, job)

    def _through_stops(self, loop: EventLoop, step: Callable[[], None]) -> None:
        """Carry out a step that may be repeated; after an emergency stop once more."""
        while True:
            try:
                step()
                return
            except HandStopped:
                self._watch.await_engaged(loop)

    def _demonstrate(self, handle: ServerGoalHandle, number: int, loop: EventLoop) -> str:
        """Carry out one demonstration; return the reason of a drop, empty: accepted."""
        assert self._station is not None
        goal = handle.request
        self._command = None
        start = self._reset(handle, number, self._station)
        segmenter = DemonstrationSegmenter(self._task, SegmenterConfig(at_once=goal.at_once))
        self._streams.begin(start)
        segmenter.ended = float(start.hand.stamp[0])  # of one that is broken off before it began
        try:
            try:
                self._lead(True, loop)
                self._follow(handle, number, segmenter, start)
            finally:
                with loop.undisturbed():
                    self._lead(False, loop)
        except HandStopped:
            if np.isfinite(segmenter.began):
                self._mark(Mark.ENDED, number, segmenter.ended)
            why = self._conclude(handle, number, segmenter, "the hand was stopped")
            self._publish_stage(handle, number, "stopped")
            self._station.await_engaged()
            return why
        if np.isnan(segmenter.began):
            return self._conclude(handle, number, segmenter, "it was dropped before it began")
        self._mark(Mark.ENDED, number, segmenter.ended)
        if self._command is OperatorCommand.DROP:
            return self._conclude(handle, number, segmenter, "it was dropped")
        reached, named = self._streams.reached(segmenter.ended), "the streams' last messages"
        self._watch.wait_through(loop, reached, named)
        motion = self._streams.motion(start, segmenter, goal.seed)
        try:
            episode = to_episode(motion, self._task)
        except BadDemonstrations as error:
            return self._conclude(handle, number, segmenter, str(error))
        why = self._verdict(handle, episode, loop)
        if not why:
            self._episodes.publish(convert.episode_msg(episode, segmenter.ended))
        return self._conclude(handle, number, segmenter, why)

    def _reset(self, handle: ServerGoalHandle, number: int, station: GraphStation) -> ResetResult:
        """Bring hand and object to the start; after an emergency stop once more."""
        while True:
            self._publish_stage(handle, number, "reset")
            try:
                request = start_request(self._task, handle.request.seed, np.array([number]))
                return station.reset(request)
            except HandStopped:
                self._publish_stage(handle, number, "stopped")
                station.await_engaged()

    def _follow(
        self,
        handle: ServerGoalHandle,
        number: int,
        segmenter: DemonstrationSegmenter,
        start: ResetResult,
    ) -> None:
        """Let the hand go and follow the demonstration until it has ended or is dropped."""
        assert self._station is not None
        stamp, qd, error = float(start.hand.stamp[0]), start.hand.qd, 0.0
        while True:
            before, command = segmenter.phase, self._command
            if command is OperatorCommand.DROP:
                segmenter.ended = stamp
                return
            self._command = None
            phase = segmenter.update(stamp, qd, command)
            if before is Phase.WAITING and phase is not before:
                reset = {"reset_s": float(start.duration[0]), "seed": handle.request.seed}
                attempts = int(start.attempts[0])
                self._mark(Mark.BEGAN, number, segmenter.began, reset_attempts=attempts, **reset)
            if phase is Phase.ENDED:
                return
            elapsed = 0.0 if phase is Phase.WAITING else stamp - segmenter.began
            self._publish_stage(handle, number, phase, elapsed, error)
            segmenter.ended = stamp  # of a demonstration that is broken off
            sample: Sample = self._station.let_go(handle.request.hold)
            stamp, qd = float(sample.hand.stamp[0]), sample.hand.qd
            error = float(self._task.aim.error(sample.hand, sample.object, start.goal)[0])

    def _verdict(self, handle: ServerGoalHandle, episode: Episode, loop: EventLoop) -> str:
        goal = handle.request
        left = (
            f"it ended {np.rad2deg(abs(episode.trajectory.errors[-1])):.1f} degrees from the goal"
        )
        if not goal.ask:
            return "" if episode.success or goal.keep else left
        self._command = None
        self._publish_stage(
            handle,
            episode.number,
            "verdict",
            episode.time.experience_s,
            episode.trajectory.errors[-1],
        )

        decided, named = lambda: self._command is not None, "a verdict: accept or drop"
        self._watch.wait_through(loop, decided, named, VERDICT_TIMEOUT)
        return "" if self._command is OperatorCommand.ACCEPT else f"it was dropped; {left}"

    def _conclude(
        self, handle: ServerGoalHandle, number: int, segmenter: DemonstrationSegmenter, why: str
    ) -> str:
        kind = Mark.DROPPED if why else Mark.ACCEPTED
        self._mark(kind, number, segmenter.ended, reason=why)
        stage = "dropped" if why else "accepted"
        elapsed = segmenter.ended - segmenter.began if np.isfinite(segmenter.began) else 0.0
        self._publish_stage(handle, number, stage, elapsed, reason=why)
        return why

    # Messages.

    def _mark(self, kind: int, number: int, stamp: float, **values: object) -> None:
        mark = Mark(kind=kind, episode=number, **values)
        mark.header.stamp = convert.to_stamp(stamp)
        self._marks.publish(mark)

    def _publish_stage(
        self,
        handle: ServerGoalHandle,
        number: int,
        stage: str,
        elapsed: float = 0.0,
        error: float = 0.0,
        reason: str = "",
    ) -> None:
        self._stage = stage
        feedback = RecordDemonstration.Feedback(episode=number, stage=str(stage), reason=reason)
        feedback.elapsed, feedback.error = float(elapsed), float(error)
        handle.publish_feedback(feedback)

    def _introduce(self, loop: EventLoop) -> None:
        """Publish the facts of the session, after the recorder has discovered this node."""
        task, params = self._task, self._params
        if params.record:
            heard = self._sessions.get_subscription_count
            loop.wait(
                lambda: heard() > 0 and self._marks.get_subscription_count() > 0, "the recorder"
            )
        ends = np.atleast_2d([[task.goal_angle.lower], [task.goal_angle.upper]]).reshape(2, -1)
        session = wire.DemonstrationSession(
            task=task.name,
            hand=task.hand_name,
            joints=list(task.hand.joints),
            object=task.fixture_name,
            period=task.period,
            rate=params.rate if params.pace == "real" else 0.0,
            hardware=params.hardware,
            pace=params.pace,
            teacher=params.teacher,
            calibration=params.calibration,
            goal=ends.T.ravel().tolist(),
        )
        session.header.stamp = clock_of(self).now().to_msg()
        self._sessions.publish(session)

    def _lead(self, on: bool, loop: EventLoop) -> None:
        """Start or stop the lead of the scripted teacher, for which the simulation waits."""
        if not self._params.guided:
            return
        for topic, client in self._lead_clients.items():
            loop.ask(client, SetBool.Request(data=on), topic)

    def report(self) -> None:
        """Report the present stage."""
        self._diagnostics.publish(OK, self._stage or "ready to record", {})


class Streams:
    """All states of hand and object during the present demonstration."""

    def __init__(self, node: Node, joints: tuple[str, ...]) -> None:
        hands, objects = cdr_codec.JointStates(joints), cdr_codec.ObjectStates()
        self._hand: list[JointState] = []
        self._object: list[ObjectEstimate] = []
        hear = Inbox.of(node).subscribe
        hear(JointStateMsg, topics.HAND_STATES, hands.unpack, self._on_hand, qos.STREAM)
        hear(wire.ObjectState, topics.OBJECT_STATE, objects.unpack, self._on_object, qos.STREAM)

    def begin(self, start: ResetResult) -> None:
        """Drop the states before the end of the reset."""
        since = start.hand.stamp[0]
        self._hand = [state for state in self._hand if state.stamp[0] >= since]
        self._object = [state for state in self._object if state.stamp[0] >= since]

    def reached(self, until: float) -> Callable[[], bool]:
        """Return a condition: both streams have reached a stamp [s]."""
        streams = (self._hand, self._object)
        return lambda: all(bool(s) and s[-1].stamp[0] >= until for s in streams)

    def motion(self, start: ResetResult, segmenter: DemonstrationSegmenter, seed: int) -> Motion:
        """Return the motion of the demonstration."""
        return Motion(
            batch.stack(self._hand),
            batch.stack(self._object),
            start.goal,
            segmenter.began,
            segmenter.ended,
            int(start.goal.episode[0]),
            seed,
            float(start.duration[0]),
            int(start.attempts[0]),
        ).within()

    def _on_hand(self, state: JointState) -> None:
        self._hand.append(state)

    def _on_object(self, estimate: ObjectEstimate) -> None:
        self._object.append(estimate)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(DemonstratorNode, args=args)


if __name__ == "__main__":
    main()
