"""A stranger publishes the worst there is on every topic; the run goes on with the same numbers."""

import threading
from contextlib import suppress

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import TransitionEvent
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import make_task
from handlab_interfaces import msg as wire
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import convert, qos, topics
from handlab_sim.backend import MujocoBackend

TASK = make_task("valve")
NODES = ("driver", "estimator", "reward", "reset", "runner")
NAMES, LATE = list(TASK.hand.joints), convert.to_stamp(1e9)

DROPPED = {
    "driver": topics.HAND_COMMANDS, "estimator": topics.FIXTURE_STATES, "reward": topics.GOAL,
    "reset": topics.HAND_STATUS, "runner": topics.POLICY,
}  # fmt: skip
"""A topic by node: the node drops the stranger's messages there and counts them."""

GARBAGE = (b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 64, b"\xff" * 9, bytes(10_000))
"""Bytes that are published as they are."""


def stamped(kind, stamp, **fields):
    message = kind(**fields)
    message.header.stamp = stamp
    return message


def joints(names, value, stamp=LATE):
    fields = dict.fromkeys(("position", "velocity", "effort"), [value] * len(names))
    return stamped(JointState, stamp, name=names, **fields)


def worst(policy):
    """Messages by topic and type: malformed ones, and well-formed ones that are not true."""
    nan, fixture = float("nan"), [TASK.fixture.joint]
    past = convert.to_stamp(0.0)
    odd = [JointState(), joints(NAMES, nan), joints(["x"], 0.0), joints(NAMES, 1e300)]
    hands = [*odd, joints(NAMES, 0.5), joints(NAMES, 0.5, past), JointState(position=[0.0] * 50000)]
    fixtures = [*odd, joints(fixture, 9.0), joints(fixture, nan), joints(fixture, 1.0, past)]
    state, goal, reward = wire.ObjectState, wire.EpisodeGoal, wire.Reward
    good, wrong = convert.policy_msg(policy, TASK), convert.policy_msg(policy, TASK)
    good.weights = good.weights[:-8] + good.weights[:8]
    wrong.layout = '[["x", 1]]'
    policies = [
        wire.Policy(version=3),
        wire.Policy(version=3, weights=list(range(100))),
        wrong,
        good,
    ]
    return {
        (topics.HAND_STATES, JointState): hands,
        (topics.HAND_COMMANDS, JointState): hands,
        (topics.FIXTURE_COMMANDS, JointState): fixtures,
        (topics.GUIDE, JointState): hands,
        (topics.FIXTURE_STATES, JointState): fixtures,
        (topics.OBJECT_STATE, state): [
            state(angle=nan), stamped(state, LATE, angle=1.0), stamped(state, past, angle=-3.0),
        ],
        (topics.GOAL, goal): [
            goal(), goal(angle=[nan], velocity=[nan]), goal(angle=[0.0] * 3, velocity=[0.0] * 3),
            stamped(goal, past, episode=1, angle=[0.5], velocity=[0.0]),
        ],
        (topics.REWARD, reward): [
            reward(), *(reward(episode=e, terms=[9.0] * 6, total=9.0) for e in range(4)),
            stamped(reward, LATE, terms=[nan]),
        ],
        (topics.EPISODE, wire.Episode): [
            wire.Episode(), wire.Episode(steps=2**32 - 1),
            wire.Episode(episode=1, policy_version=3),
        ],
        (topics.POLICY, wire.Policy): policies,
        (topics.HAND_STATUS, wire.HandStatus): [
            wire.HandStatus(), wire.HandStatus(pause_requested=True, temperature=[99.0] * 9),
        ],
        (topics.DETECTIONS, PoseWithCovarianceStamped): [PoseWithCovarianceStamped()],
        (topics.started(topics.RESET), String): [
            String(), String(data="f" * 32), String(data="x" * 10**6),
        ],
        (topics.started(topics.ROLLOUT), String): [String(), String(data="0" * 32)],
        ("rollout/_action/status", GoalStatusArray): [GoalStatusArray()],
        ("driver/transition_event", TransitionEvent): [TransitionEvent()],
        ("/clock", Clock): [Clock(), Clock(clock=LATE)],
    }  # fmt: skip


OFFERED = QoSProfile(
    depth=qos.DEPTH, reliability=qos.LATCHED.reliability, durability=qos.LATCHED.durability
)
"""Reliable and latched: compatible with every subscription."""


class Stranger:
    """A program that publishes all that, again and again, in a thread of its own."""

    def __init__(self, domain, policy):
        self.domain, self._policy = domain, policy
        self.over, self.rounds = threading.Event(), 0
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._thread.join()

    def _publish(self):
        context = Context()
        rclpy.init(context=context, domain_id=self.domain)
        node = rclpy.create_node("stranger", context=context)
        out = {
            node.create_publisher(kind, topic, OFFERED): messages
            for (topic, kind), messages in worst(self._policy).items()
        }
        while not self.over.wait(0.02):
            for publisher, messages in out.items():
                publisher.publish(messages[self.rounds % len(messages)])
                with suppress(RCLError):  # too long for a type of fixed size
                    publisher.publish(GARBAGE[self.rounds % len(GARBAGE)])
            self.rounds += 1
        node.destroy_node()
        context.try_shutdown()


@pytest.fixture
def told():
    return {}


def listen(node, told):
    def note(message):
        for status in message.status:
            told[status.name] = {pair.key: pair.value for pair in status.values}

    node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)


def dropped(told, name):
    """How many messages a node dropped, by topic."""
    return {
        key.removeprefix("dropped on "): int(value)
        for key, value in told.get(name, {}).items()
        if key.startswith("dropped on ") and not key.endswith(", last")
    }


def names_the_stranger(told, name, topic):
    """Whether a node says that it last dropped a message of the stranger on a topic."""
    return "stranger" in told.get(name, {}).get(f"dropped on {topic}, last", "")


def test_in_lockstep_a_stranger_changes_no_number(graph, domain, told, policy):
    with graph(*NODES) as (_, node, loop):
        listen(node, told)
        sampler = GraphSampler(node, loop, TASK)
        quiet = list(sampler.sample(policy(TASK), EpisodePlan(7, range(2))))
        with Stranger(domain, policy(TASK)) as stranger:
            loop.wait(lambda: stranger.rounds > 20, "the stranger")
            disturbed = list(sampler.sample(policy(TASK), EpisodePlan(7, range(2, 8))))
            loop.wait(
                lambda: all(names_the_stranger(told, *dropped) for dropped in DROPPED.items()),
                "every node's report of what it dropped",
            )
    env = Env(TASK, LocalStation(TASK, MujocoBackend(TASK.hand, TASK.fixture)))
    for number, episode in enumerate([*quiet, *disturbed]):
        alone = rollout(env, policy(TASK), EpisodePlan(7, [number]))[0]
        for name in ("observations", "actions", "rewards", "errors"):
            np.testing.assert_array_equal(episode.arrays[name], alone.arrays[name])


def test_in_real_pace_a_stranger_costs_no_episode(graph, domain, told, policy):
    with graph(*NODES, **{name: {"pace": "real"} for name in NODES}) as (_, node, loop):
        listen(node, told)
        with Stranger(domain, policy(TASK)) as stranger:
            loop.wait(lambda: stranger.rounds > 5, "the stranger")
            episodes = list(
                GraphSampler(node, loop, TASK).sample(policy(TASK), EpisodePlan(7, [0, 1]))
            )
            loop.rest(1.5)
    assert [e.steps for e in episodes] == [TASK.steps] * 2
    assert all(
        np.isfinite(e.trajectory.observations).all() and np.isfinite(e.trajectory.rewards).all()
        for e in episodes
    )
    assert all(abs(e.time.experience_s - TASK.steps * TASK.period) < 1e-9 for e in episodes)
    assert dropped(told, "driver")[topics.HAND_COMMANDS] > 10
