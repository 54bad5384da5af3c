"""Policy runner: an action server that runs episodes with the newest policy. Needs no torch."""

import time

from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from std_srvs.srv import SetBool

from handlab_core.demonstrations.intervening_teacher import InterveningTeacher
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.intervention import PERSON, TEACHER, Intervener
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.rollout import rollout
from handlab_core.errors import HandlabError
from handlab_core.options import PaceOptions
from handlab_core.system.validation import checked
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Rollout
from handlab_nodes.clients.command_outputs import OutputOptions
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.clients.person import Person
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import GoalServer, announce
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params

RIGHT_ONE = 5.0
"""Seconds; after a policy that cannot be used the right one of the same version may follow."""


@checked
class RunnerParams(TaskParams, OutputOptions, PaceOptions):
    """Parameters of the node."""


class RunnerNode(Node):
    """Carries out one rollout goal at a time; a newer goal ends the older one."""

    def __init__(self) -> None:
        super().__init__("runner")
        self._params = read_params(self, RunnerParams())
        self._task = self._params.make_task()
        self._policy: Policy | None = None
        self._refused: tuple[int, str, float] | None = None  # version, fault and time of a policy
        self._env: Env | None = None
        self._person = Person(self, self._task)
        self._teacher: InterveningTeacher | None = None
        self._episodes_run = self._breaks = 0
        self._episodes = self.create_publisher(wire.Episode, topics.EPISODE, qos.EPISODES)
        read = convert.decoder(wire.Policy, self._read_policy)
        Inbox.of(self).subscribe(wire.Policy, topics.POLICY, read, self._on_policy, qos.LATCHED)
        self._watch = DriverMonitor(self)
        self._goal_server = GoalServer(
            self,
            Rollout,
            topics.ROLLOUT,
            lambda: self._goal_server.goal is None,
            goal_checks.rollout,
            within=(topics.TRAIN, topics.EVALUATE),
            watch=self._watch,
        )
        announce(self, topics.ROLLOUT)
        self._paused = False
        self.create_service(SetBool, topics.PAUSE, self._on_pause)
        self._diagnostics = Diagnostics(self)

    def _read_policy(self, message: wire.Policy) -> Policy:
        try:
            return convert.policy(message, self._task)
        except HandlabError as error:
            self._refused = message.version, str(error), time.monotonic()
            raise

    def _on_policy(self, policy: Policy) -> None:
        self._policy, self._refused = policy, None

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._paused, response.success = request.data, True
        return response

    def work(self, loop: EventLoop) -> None:
        """Carry out the goal, if there is one."""
        handle = self._goal_server.goal
        if handle is None:
            return
        if self._env is None:
            lockstep = self._params.pace == "lockstep"
            output = self._params.command_output
            station = GraphStation(self, loop, self._task, lockstep, output, self._watch)
            self._env = Env(self._task, station)
        env, result = self._env, Rollout.Result()

        def run(handle: ServerGoalHandle) -> None:
            for number in handle.request.episodes:
                while self._paused:
                    loop.once()
                self._run_episode(env, handle, int(number), loop)
                result.completed += 1

        self._goal_server.carry_out(loop, result, run)

    def _run_episode(
        self, env: Env, handle: ServerGoalHandle, number: int, loop: EventLoop
    ) -> None:
        goal = handle.request
        env.teleport = goal.teleport_reset
        policy = self._await_policy(goal.policy_version, loop)
        plan = EpisodePlan(goal.seed, [number], goal.deterministic)
        [episode] = rollout(env, policy, plan, intervener=self._intervener(goal.interventions))
        self._episodes.publish(convert.episode_msg(episode, time.time()))
        self._episodes_run += 1
        self._breaks += episode.time.breaks
        feedback = Rollout.Feedback(episode=number, success=episode.success)
        feedback.episode_return = episode.episode_return
        handle.publish_feedback(feedback)

    def _intervener(self, name: str) -> Intervener | None:
        if name == PERSON:
            return self._person
        if name == TEACHER:
            if self._teacher is None:
                self._teacher = InterveningTeacher(self._task)
            return self._teacher
        return None

    def _await_policy(self, version: int, loop: EventLoop) -> Policy:
        def there() -> bool:
            if self._refused is not None:
                refused, fault, at = self._refused
                if refused == version and time.monotonic() - at > RIGHT_ONE:
                    raise HandlabError(fault)
            return self._policy is not None and self._policy.version == version

        named = f"policy version {version} on {topics.POLICY}"
        self._watch.wait_through(loop, there, named)
        assert self._policy is not None
        return self._policy

    def report(self) -> None:
        """Report the number of episodes."""
        values = {"episodes": self._episodes_run, "episodes_broken_off": self._breaks}
        said = "paused between two episodes by a person" if self._paused else "ready to act"
        self._diagnostics.publish(OK, said, values)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(RunnerNode, args=args)


if __name__ == "__main__":
    main()
