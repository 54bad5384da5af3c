"""The graph itself: real processes, real Fast DDS."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState

from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policy import GaussianPolicy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation, start_request
from handlab_core.estimation import quaternions
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.tasks import TASKS, make_task
from handlab_interfaces.action import Reset
from handlab_interfaces.msg import EpisodeGoal, HandStatus, ObjectState
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions
from handlab_sim.backend import MujocoBackend

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


class Processes:
    """Nodes as processes."""

    def __init__(self):
        self.running = {}

    def start(self, name, **parameters):
        words = [sys.executable, "-m", f"handlab_nodes.nodes.{name}_node", "--ros-args"]
        for key, value in parameters.items():
            words += ["-p", f"{key}:={value}"]
        self.running[name] = subprocess.Popen(words)

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.running.items():
            code = process.wait(60)
            assert code == 0, f"{name} did not end cleanly: {code}"


@contextmanager
def graph(*names, **parameters):
    nodes = Processes()
    for name in names:
        nodes.start(name, **parameters.get(name, {}))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("learner", context=context)
    try:
        with EventLoop(node, context=context) as loop:
            yield nodes, node, loop
    finally:
        context.try_shutdown()
        nodes.stop()


def policy(version=3, task=TASK):
    rng = np.random.default_rng(0)
    o, n = task.observation_size, task.hand.n
    return GaussianPolicy(
        (rng.normal(size=(o, 16)) / 4, rng.normal(size=(16, n)) / 4),
        (np.zeros(16), np.zeros(n)), np.full(n, -0.5), np.zeros(o), np.ones(o), version,
    )  # fmt: skip


def local_env(task=TASK, estimator="encoder"):
    return Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture), estimator))


def assert_same(a, b):
    for name, array in a.arrays.items():
        np.testing.assert_array_equal(array, b.arrays[name], err_msg=name)
    assert (a.number, a.success, a.time.reset_attempts) == (
        b.number,
        b.success,
        b.time.reset_attempts,
    )


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_graph_gives_the_episodes_of_the_process_bit_for_bit(name):
    task = make_task(name)
    parameters = {node: {"task": name} for node in (*RING, "runner")}
    with graph(*parameters, **parameters) as (_, node, loop):
        got = list(
            GraphSampler(node, loop, task).sample(policy(task=task), EpisodePlan(7, range(3)))
        )
    env = local_env(task)
    for number, episode in enumerate(got):
        assert_same(episode, rollout(env, policy(task=task), EpisodePlan(7, [number]))[0])


def test_with_a_camera_too_the_graph_gives_the_episodes_of_the_process():
    with graph(*RING, "camera", "runner", estimator={"estimator": "camera"}) as (_, node, loop):
        got = list(GraphSampler(node, loop, TASK).sample(policy(), EpisodePlan(7, range(3))))
    env, sharp = local_env(estimator="camera"), local_env()
    for number, episode in enumerate(got):
        assert_same(episode, rollout(env, policy(), EpisodePlan(7, [number]))[0])
        assert (
            episode.trajectory.errors
            != rollout(sharp, policy(), EpisodePlan(7, [number]))[0].trajectory.errors
        ).any()


def test_in_real_pace_a_detector_that_is_not_ours_is_followed_in_its_cameras_frame():
    """It publishes as others do, not latched, in the frame of a camera that hangs head down."""
    pose = (0.1, 0.0, 0.5), (0.0, 1.0, 0.0, 0.0)
    view = AxisView.of_fixture(TASK.fixture).seen_from(*pose)
    estimator = {
        "estimator": "camera", "pace": "real",
        "camera_position": list(pose[0]), "camera_orientation": list(pose[1]),
    }  # fmt: skip
    nodes = graph("driver", "estimator", driver={"pace": "real"}, estimator=estimator)
    with nodes as (_, node, loop):
        states, estimates = [], []
        sent = node.create_publisher(PoseWithCovarianceStamped, topics.DETECTIONS, 10)
        node.create_subscription(JointState, topics.FIXTURE_STATES, states.append, qos.STREAM)
        node.create_subscription(ObjectState, topics.OBJECT_STATE, estimates.append, qos.STREAM)
        loop.wait(lambda: states and sent.get_subscription_count(), "the estimator")

        def seen():
            stamp = convert.from_stamp(states[-1].header.stamp)
            turned = quaternions.multiply(quaternions.about(view.axis, 0.7), view.zero)
            detection = Detection(stamp, view.centre, turned, (0.0,) * 36)
            sent.publish(convert.detection_msg(detection))
            return estimates and estimates[-1].angle == pytest.approx(0.7, abs=0.02)

        loop.wait(seen, "the angle that was detected", 20)


@pytest.mark.parametrize("victim", ["camera", "estimator"])
def test_a_camera_or_its_estimator_may_be_started_again(victim):
    parameters = {"estimator": {"estimator": "camera"}}
    with graph(*RING, "camera", "runner", **parameters) as (nodes, node, loop):
        done = []

        sampler = GraphSampler(node, loop, TASK)
        for episode in sampler.sample(policy(), EpisodePlan(7, range(4))):
            done.append(episode.number)
            if len(done) == 1:
                nodes.kill(victim)
                nodes.start(victim, **parameters.get(victim, {}))
    assert done == list(range(4))


@pytest.mark.parametrize("victim", ["runner", "estimator", "reward", "reset"])
def test_a_node_that_is_killed_and_started_again_does_not_end_the_run(victim):
    """The world waits; the episodes asked for come, each once."""
    with graph(*RING, "runner") as (nodes, node, loop):
        episodes = []
        for episode in GraphSampler(node, loop, TASK).sample(policy(), EpisodePlan(7, range(6))):
            episodes.append(episode)
            if len(episodes) == 2:
                nodes.kill(victim)
                nodes.start(victim)
    assert [e.number for e in episodes] == list(range(6))
    assert all(
        e.steps == TASK.steps and np.isfinite(e.trajectory.observations).all() for e in episodes
    )


def test_a_policy_of_another_layout_ends_the_rollout_with_both_layouts():
    with graph(*RING, "runner") as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        message = convert.policy_msg(policy(), TASK)
        message.layout = '[["x", 1]]'
        sampler._policies.publish(message)
        sampler._policies.publish = lambda _: None
        with pytest.raises(Exception, match=r'\[\["x", 1\]\].*joints'):
            list(sampler.sample(policy(), EpisodePlan(0, [0])))


def test_the_reset_tells_its_stages_and_ends_within_tolerance():
    with graph(*RING) as (_, node, loop):
        station = GraphStation(node, loop, TASK, lockstep=True)
        env = Env(TASK, station)
        env.reset(0, np.array([0]))
        for _ in range(10):
            env.step(np.full((1, TASK.hand.n), 0.8))
        client, stages = ActionClient(node, Reset, topics.RESET), []
        sending = client.send_goal_async(
            Reset.Goal(object_angle=1.0),
            feedback_callback=lambda m: stages.append(m.feedback.stage),
        )
        handle = loop.result(sending, "acceptance")
        result = loop.result(handle.get_result_async(), "the result").result
        loop.wait(lambda: "done" in stages, "the last feedback")
        assert result.success and result.attempts == 1 and not result.failed_joints
        assert stages == ["release", "object_home", "hand_home", "verify", "done"]
        start = station.reset(start_request(TASK, 0, np.array([1])))
        assert np.abs(start.hand.q[0] - TASK.hand.nominal).max() <= np.deg2rad(5)
        assert abs(start.object.angle[0]) <= np.deg2rad(5)


def test_a_teleport_is_there_for_simulation_and_gives_the_same_as_in_process():
    with graph(*RING) as (_, node, loop):
        far = Env(TASK, GraphStation(node, loop, TASK, lockstep=True), teleport=True)
        near = local_env()
        near.teleport = True
        for number in (0, 1):
            a, b = far.reset(3, np.array([number])), near.reset(3, np.array([number]))
            np.testing.assert_array_equal(a[0], b[0])
            for _ in range(3):
                action = np.full((1, TASK.hand.n), 0.5)
                np.testing.assert_array_equal(
                    far.step(action).observation, near.step(action).observation
                )


class Bench:
    """A driver, with somebody who can see and command it."""

    def __init__(self, node, loop):
        self.node, self.loop, self.status, self.diagnostics = node, loop, [], {}
        self.listener, self.states = PolledSubscriptions(node), []
        node.create_subscription(JointState, topics.HAND_STATES, self._on_state, qos.STREAM)
        node.create_subscription(HandStatus, topics.HAND_STATUS, self.status.append, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.commands = node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        loop.wait(lambda: self.states, "a state")
        loop.wait(lambda: self.commands.get_subscription_count() > 0, "the driver")

    def _on_state(self, message):
        if not self.states or message.header.stamp != self.states[-1].header.stamp:  # repeated
            self.states.append(message)

    def _on_diagnostics(self, message):
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            self.diagnostics[status.name] = (status.message, values)

    def send(self, q, names=None, stamp=None):
        stamp = convert.from_stamp(self.states[-1].header.stamp) if stamp is None else stamp
        message = JointState(name=names or list(TASK.hand.joints), position=list(q))
        message.header.stamp = convert.to_stamp(stamp)
        self.commands.publish(message)

    def step(self, q):
        count = len(self.states)
        self.send(q)
        self.loop.wait(lambda: len(self.states) > count, "the next state")
        return np.array(self.states[-1].position)

    def driver(self, key, value):
        def told():
            return self.diagnostics.get("driver", ("", {}))[1].get(key) == value

        self.loop.wait(told, f"{key} = {value} on /diagnostics")


def test_bad_commands_are_dropped_or_clamped_per_joint_and_counted():
    with graph("driver") as (_, node, loop):
        bench = Bench(node, loop)
        home = TASK.hand.nominal
        still = bench.step(home)
        bad = home.copy()
        bad[0] = np.nan
        np.testing.assert_allclose(bench.step(bad)[0], still[0], atol=0.02)
        bench.driver("targets_dropped", "1")
        bad[0] = 50.0
        for _ in range(10):
            q = bench.step(bad)
        assert q[0] <= TASK.hand.upper[0] + 0.05
        bench.driver("commands_clamped", "10")
        bench.send([0.0, 0.0], names=["FFJ10", "FFJ11", "FFJ12"])  # malformed
        bench.driver("commands_malformed", "1")
        bench.send(home, stamp=12345.0)
        bench.driver("commands_stale", "1")
        loop.wait(lambda: bench.status and bench.status[-1].commands_clamped == 10, "the status")


def test_a_stranger_who_commands_is_reported():
    with graph("driver") as (_, node, loop):
        bench = Bench(node, loop)  # this node is called learner, which may not command
        bench.driver("strange_command_sources", "learner")
        assert "commands also come from learner" in bench.diagnostics["driver"][0]


def test_in_real_pace_the_world_runs_by_itself_and_old_commands_are_let_go():
    with graph("driver", driver={"pace": "real"}) as (_, node, loop):
        bench = Bench(node, loop)
        far = TASK.hand.nominal.copy()
        far[1] = 0.0

        def efforts():
            return np.abs(np.array(bench.states[-1].effort))

        def commanded():
            bench.send(far)
            return abs(bench.states[-1].position[1]) < 0.3

        loop.wait(commanded, "the hand to follow")
        # Nobody commands any more: after the watchdog's limits the servos are limp.
        loop.wait(lambda: efforts().max() == 0.0, "the hand to be let go", 20)


def test_in_real_pace_episodes_take_their_time():
    with graph(*RING, driver={"pace": "real"}) as (_, node, loop):
        env = Env(TASK, GraphStation(node, loop, TASK, lockstep=False))
        env.reset(0, np.array([0]))
        began, still = time.monotonic(), np.zeros((1, TASK.hand.n))
        stamps = [float(env.step(still).sample.hand.stamp[0]) for _ in range(20)]
        # Never faster than the clock; how much slower is this machine's affair.
        assert time.monotonic() - began >= 19 * TASK.period
        assert np.median(np.diff(stamps)) == pytest.approx(TASK.period, rel=0.25)


def test_an_episode_with_a_lost_reward_is_broken_off_and_repeated_at_once():
    """The reward node misses more states than a stream, its socket and DDS keep for it.

    DDS forgets a silent node after 20 s: it is stopped for less.
    """
    real = {name: {"pace": "real"} for name in (*RING, "runner")}
    with graph(*real, **real) as (nodes, node, loop):
        sampler, reward, goals = GraphSampler(node, loop, TASK), nodes.running["reward"], []

        def on_goal(message):
            began = message.header.stamp.sec, message.header.stamp.nanosec
            goals.append((message.episode, *began))
            if len(goals) == 1:
                for seconds, number in ((1.0, signal.SIGSTOP), (12.0, signal.SIGCONT)):
                    threading.Timer(seconds, reward.send_signal, [number]).start()

        node.create_subscription(EpisodeGoal, topics.GOAL, on_goal, qos.LATCHED)
        [episode] = sampler.sample(policy(), EpisodePlan(7, [0]))
    attempts = dict.fromkeys(goals)  # while a reward is missing, a goal is announced again
    assert [number for number, *_ in attempts] == [0] * (episode.time.breaks + 1)
    assert episode.time.breaks >= 1 and episode.steps == TASK.steps
    assert episode.time.reset_s > 1.0  # with the time of the attempt that was broken off


def test_a_goal_that_was_lost_is_announced_again(monkeypatch):
    with graph(*RING) as (_, node, loop):
        station, sent = GraphStation(node, loop, TASK, lockstep=True), []
        announce = station._goals.publish

        def lossy(message):
            sent.append(message.episode)
            if len(sent) > 1:
                announce(message)

        monkeypatch.setattr(station, "_goals", SimpleNamespace(publish=lossy))
        [episode] = rollout(Env(TASK, station), policy(), EpisodePlan(7, [3]))
    assert sent == [3, 3]
    assert episode.steps == TASK.steps and episode.time.breaks == 0


def test_a_closed_event_loop_leaves_no_participant_behind():
    """Each would go on answering discovery; some tens of them stop a domain from working."""

    def threads():
        gc.collect()
        return len(os.listdir("/proc/self/task"))

    def sample():
        with graph(*RING, "runner") as (_, node, loop):
            list(GraphSampler(node, loop, TASK).sample(policy(), EpisodePlan(0, [0])))

    sample()
    before = threads()
    sample()
    assert threads() == before


def test_the_domain_is_the_tests_own(domain):
    assert os.environ["ROS_DOMAIN_ID"] == str(domain)
    assert os.environ["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("config/dds/loopback.xml")
