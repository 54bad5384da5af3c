"""Asking a node for something that takes time."""

import signal
import subprocess
import sys
import threading
import time

import pytest
import rclpy
from action_msgs.msg import GoalStatusArray
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.qos import qos_profile_action_status_default
from std_srvs.srv import SetBool

from handlab_core.errors import StationTimeout
from handlab_interfaces.action import Reset
from handlab_nodes.messages import topics
from handlab_nodes.runtime import actions, event_loop
from handlab_nodes.runtime.actions import GoalServer, RestartSafeActionClient, announce
from handlab_nodes.runtime.event_loop import POLL, EventLoop


@pytest.fixture
def server(domain):
    """A node with the action `reset`, in a thread with a context of its own; yields its end.

    It answers every goal at once, but one of a negative angle after as many seconds.
    """
    context, over = Context(), threading.Event()
    rclpy.init(context=context, domain_id=domain)

    def serve():
        node = rclpy.create_node("reset", context=context)
        server = GoalServer(node, Reset, "reset", lambda: server.goal is None)
        announce(node, "reset")
        with EventLoop(node, context=context) as loop:
            while not over.is_set():
                loop.once(POLL)
                if server.goal is not None:
                    angle = server.goal.request.object_angle
                    end = time.monotonic() - angle
                    while time.monotonic() < end and not over.is_set():
                        loop.once(0.1)
                    if not over.is_set():
                        server.finish(Reset.Result(success=True, duration=angle), success=True)

    thread = threading.Thread(target=serve)

    def end():
        over.set()
        thread.join()

    thread.start()
    yield end
    end()
    context.try_shutdown()


@pytest.fixture
def client(domain):
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("client", context=context)
    with EventLoop(node, context=context) as loop:
        yield node, loop
    context.try_shutdown()


def test_ros_tools_hide_the_topics_on_which_servers_announce_themselves(server, client):
    """By the rule of ros2cli: a part of the name begins with an underscore."""
    node, loop = client
    listed = lambda: {name for name, _ in node.get_topic_names_and_types()}  # noqa: E731
    loop.wait(lambda: "/reset/_started" in listed(), "the announcement")
    hidden = {name for name in listed() if any(part[:1] == "_" for part in name.split("/"))}
    assert not [name for name in listed() - hidden if "started" in name]
    assert topics.SENDERS["reset/_started"] == topics.SERVERS["reset"]


def test_goals_that_are_over_do_not_pile_up(server, client):
    """Each gets its own answer, and the status of the action soon lists fewer than there were."""
    node, loop = client
    listed = []
    node.create_subscription(
        GoalStatusArray,
        "reset/_action/status",
        lambda message: listed.append(len(message.status_list)),
        qos_profile_action_status_default,
    )
    action_client = RestartSafeActionClient(node, loop, Reset, "reset")
    goals = 0
    while not (listed and listed[-1] < goals // 2):
        goals += 1
        assert action_client.ask(Reset.Goal(object_angle=float(goals)), 20.0).duration == goals


class Warnings:
    """Stands in for a logger and keeps its warnings."""

    def __init__(self):
        self.heard = []

    def warning(self, text, **_):
        self.heard.append(text)


def test_a_goal_that_takes_long_is_warned_of_only_while_no_process_serves_it(
    server, client, monkeypatch
):
    """An episode in real pace takes longer than the period of the warnings."""
    node, loop = client
    action_client = RestartSafeActionClient(node, loop, Reset, "reset")
    action_client.ask(Reset.Goal(object_angle=0.0), 20.0)  # both have discovered each other
    monkeypatch.setattr(event_loop, "REMIND", 0.3)
    log = Warnings()
    monkeypatch.setattr(node, "get_logger", lambda: log)
    assert action_client.ask(Reset.Goal(object_angle=-1.5), 20.0).duration == -1.5
    assert "still waiting for the result of reset" not in log.heard
    with pytest.raises(StationTimeout), action_client.sent(Reset.Goal(object_angle=-60.0)) as goal:
        server()
        goal.wait(6.0)  # on a busy machine the end of a process is known after seconds
    assert "still waiting for the result of reset" in log.heard


HANGS = """
import time
from rclpy.node import Node
from handlab_nodes.runtime import actions, event_loop

class Hanging(Node):
    def work(self, _):
        raise KeyboardInterrupt  # asked to end

    def destroy_node(self):
        time.sleep(60.0)

event_loop.PARTING = 1
event_loop.run(lambda: Hanging("hanging"))
"""


def test_a_process_that_hangs_while_it_ends_is_ended_and_says_where():
    done = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGALRM
    assert "in destroy_node" in done.stderr and "in close" in done.stderr


ENDS = """
import os, signal, sys, threading
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from handlab_nodes.runtime import actions, event_loop

class Plain(Node):
    def work(self, _):
        os.kill(os.getpid(), signal.SIGINT)

class Lifecycle(LifecycleNode, Plain):
    pass

event_loop.leave = lambda code: None
event_loop.run(lambda: globals()[sys.argv[1]]("node"))
print(len(os.listdir("/proc/self/task")))
"""


def test_a_lifecycle_node_leaves_no_participant_to_the_end_of_the_process():
    """Exit handlers would delete it under the feet of its threads, and corrupt memory."""
    plain, lifecycle = (
        subprocess.check_output([sys.executable, "-c", ENDS, kind], text=True, timeout=60)
        for kind in ("Plain", "Lifecycle")
    )
    assert int(lifecycle) == int(plain)


class Lossy:
    """Handle of an action server or a service, some of whose answers are lost."""

    def __init__(self, handle, method, lost):
        self._handle, self._method, self.lost, self.calls = handle, method, lost, 0

    def __getattr__(self, name):
        return self._answer if name == self._method else getattr(self._handle, name)

    def _answer(self, *args):
        self.calls += 1
        if self.calls > self.lost:
            getattr(self._handle, self._method)(*args)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(actions, "ANSWER", 0.3)
    monkeypatch.setattr(event_loop, "ANSWER", 0.3)


def serve_lossy(node, lost, jobs):
    server = GoalServer(node, Reset, "reset", lambda: server.goal is None)
    server._server._handle = Lossy(server._server._handle, "send_goal_response", lost)
    announce(node, "reset")

    def work(loop):
        if server.goal is not None:
            jobs.append(server.goal.request.object_angle)
            loop.rest(server.goal.request.object_angle)
            server.finish(Reset.Result(success=True, duration=jobs[-1]), success=True)

    node.work = work
    return server


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("seconds", [0.2, 1.5])
def test_a_goal_whose_acceptance_is_lost_is_carried_out_once_and_ends(client, quick, lost, seconds):
    node, _ = client
    jobs = []
    context = node.context
    server = rclpy.create_node("reset", context=context)
    answers = serve_lossy(server, lost, jobs)._server._handle
    with EventLoop(server, node, context=context) as both:
        asking = RestartSafeActionClient(node, both, Reset, "reset")
        result = asking.ask(Reset.Goal(object_angle=seconds), 20.0)
    assert result.success and result.duration == seconds and jobs == [seconds]
    assert answers.calls == lost + 1


def test_a_refusal_of_a_repeated_goal_is_a_refusal(client, quick):
    """The server knows no goal of this identity: it is in use by another client."""
    node, _ = client
    context = node.context
    server = rclpy.create_node("reset", context=context)
    busy = GoalServer(server, Reset, "reset", lambda: False)
    busy._server._handle = Lossy(busy._server._handle, "send_goal_response", 1)
    with EventLoop(server, node, context=context) as both:
        asking = ActionClient(node, Reset, "reset")
        both.wait(asking.server_is_ready, "the server")
        sent = actions.deliver(asking, Reset, Reset.Goal(), lambda done: both.wait(done, "word"))
    assert sent is None


def test_a_service_whose_answer_is_lost_is_called_again(client, quick):
    node, _ = client
    context = node.context
    server = rclpy.create_node("reset", context=context)
    calls = []

    def answer(request, response):
        calls.append(request.data)
        response.success = len(calls) > 1
        return response

    service = server.create_service(SetBool, "switch", answer)
    service.send_response, really = (
        lambda *args: len(calls) > 1 and really(*args),
        service.send_response,
    )
    asking = node.create_client(SetBool, "switch")
    with EventLoop(server, node, context=context) as both:
        assert both.ask(asking, SetBool.Request(data=True), "switch").success
    assert calls == [True, True]
