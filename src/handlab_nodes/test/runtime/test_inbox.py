"""Whatever is published, a node uses what it can, drops the rest and counts it."""

import numpy as np
import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from handlab_core.tasks import make_task
from handlab_core.types import JointState as Reading
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Reset
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import cdr_codec, topics
from handlab_nodes.nodes.camera_node import CameraNode
from handlab_nodes.nodes.demonstrator_node import DemonstratorNode
from handlab_nodes.nodes.driver_node import DriverNode
from handlab_nodes.nodes.estimator_node import EstimatorNode
from handlab_nodes.nodes.recorder_node import RecorderNode
from handlab_nodes.nodes.replay_node import ReplayNode
from handlab_nodes.nodes.reset_node import ResetNode
from handlab_nodes.nodes.reward_node import RewardNode
from handlab_nodes.nodes.runner_node import RunnerNode
from handlab_nodes.nodes.teacher_node import TeacherNode
from handlab_nodes.runtime.actions import RestartSafeActionClient
from handlab_nodes.runtime.diagnostics import Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import ANSWER, LATE_ANSWER, NAMELESS, WAITING, Inbox

TASK = make_task("valve")
NODES = (
    CameraNode, DemonstratorNode, DriverNode, EstimatorNode, RecorderNode, ReplayNode, ResetNode,
    RewardNode, RunnerNode, TeacherNode,
)  # fmt: skip

INTEGERS = {"int8": (-(2**7), 2**7 - 1), "uint8": (0, 2**8 - 1), "int32": (-(2**31), 2**31 - 1)}
INTEGERS |= {"uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}
NUMBERS = st.floats() | st.sampled_from([float("nan"), float("inf"), 1e300, -1.0, 0.0, 1.0])
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES |= st.sampled_from([*TASK.hand.joints, TASK.fixture.joint])


def values(kind):
    """Values of a field, by its type's name."""
    if kind.startswith("sequence<"):
        inner = values(kind[len("sequence<") : -1].split(",")[0])
        return st.lists(inner, max_size=12) | st.lists(inner, min_size=9, max_size=9)
    if kind.endswith("]"):
        inner, size = kind[:-1].split("[")
        return st.lists(values(inner), min_size=int(size), max_size=int(size))
    if kind in ("double", "float"):
        return NUMBERS
    if kind == "boolean":
        return st.booleans()
    if kind == "string":
        return NAMES
    if kind == "octet":
        return st.binary(min_size=1, max_size=1)
    if kind in INTEGERS:
        return st.integers(*INTEGERS[kind])
    package, name = kind.split("/")
    module = __import__(f"{package}.msg", fromlist=[name])
    return messages(getattr(module, name))


def messages(kind):
    """Messages of a type, in every field anything that the type can hold."""
    fields = kind.get_fields_and_field_types()
    return st.builds(kind, **{name: values(type_name) for name, type_name in fields.items()})


@st.composite
def serialised(draw, kind):
    """A serialised message of a type, whole or damaged, or any bytes."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=400))
    data = bytearray(serialize_message(draw(messages(kind))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


@pytest.fixture(scope="module")
def inboxes(domain, tmp_path_factory):
    """The inboxes of all nodes, in this process, the driver active."""
    context = Context()
    bag = tmp_path_factory.mktemp("bag") / "bag"
    rclpy.init(args=["--ros-args", "-p", f"bag:={bag}"], domain_id=domain)
    rclpy.init(context=context, domain_id=domain)
    nodes = [make() for make in NODES]
    recorder = next(node for node in nodes if isinstance(node, RecorderNode))
    recorder._start()
    driver = next(node for node in nodes if isinstance(node, DriverNode))
    driver.trigger_configure()
    driver.trigger_activate()
    client = rclpy.create_node("learner", context=context)
    with EventLoop(client, context=context) as loop:
        GraphStation(client, loop, TASK, lockstep=True)
        GraphSampler(client, loop, TASK)
        yield [Inbox.of(node) for node in (*nodes, client)]
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()
    context.try_shutdown()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_no_message_of_any_topic_ends_a_node(inboxes, data):
    """Each example has one message of every type, which every topic of that type gets."""
    messages_ = {}
    for inbox in inboxes:
        for channel in inbox._channels:
            kind = channel.subscription.msg_type
            if kind not in messages_:
                messages_[kind] = data.draw(serialised(kind), label=kind.__name__)
            dropped, used = outcome(inbox, channel, messages_[kind])
            assert dropped + used == 1, f"{channel.topic}: neither used nor dropped"


def outcome(inbox, channel, data):
    """How many times a message was dropped, and used."""

    def count():
        return inbox.drops[channel.topic].count if channel.topic in inbox.drops else 0

    before, used, use = count(), [], channel._use
    channel._use = lambda value: (used.append(value), use(value))
    try:
        channel.deliver(data)
    finally:
        channel._use = use
    return count() - before, len(used)


def test_all_subscriptions_of_all_nodes_go_through_the_inbox(inboxes):
    for inbox in inboxes:
        holders = [inbox.node, *getattr(inbox.node, "companions", ())]
        subscriptions = {s for holder in holders for s in holder.subscriptions}
        assert subscriptions == {channel.subscription for channel in inbox._channels}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"position": []}, r"9 joints, but \[0, 9, 9\]"),
        ({"name": ["x"] * 9}, "its joints are x"),
        ({"velocity": [np.nan] * 9}, "not finite"),
        ({"effort": [np.inf] * 9}, "not finite"),
        ({"position": [1e300] * 9}, "beyond 1e"),
        ({"position": [0.0] * 100_000}, "9 joints, but"),
    ],
)
def test_a_reading_that_cannot_be_is_refused_with_the_reason(broken, reason):
    fields = {"name": list(TASK.hand.joints)} | {
        name: [0.0] * 9 for name in ("position", "velocity", "effort")
    }
    unpack = cdr_codec.JointStates(TASK.hand.joints).unpack
    unpack(serialize_message(JointState(**fields)))
    with pytest.raises(ValueError, match=reason):
        unpack(serialize_message(JointState(**fields | broken)))


def test_a_reading_in_another_order_is_matched_by_name():
    names = list(TASK.hand.joints)
    sent = JointState(name=names[::-1], position=np.arange(9.0)[::-1])
    sent.velocity = sent.effort = sent.position
    got = cdr_codec.JointStates(names).unpack(serialize_message(sent))
    np.testing.assert_array_equal(got.q, np.arange(9.0)[None, :])


def test_a_stamp_before_zero_is_no_time():
    reading = Reading(np.zeros(1), np.zeros((1, 9)), np.zeros((1, 9)), np.zeros((1, 9)))
    data = bytearray(cdr_codec.JointStates(TASK.hand.joints).pack(reading))
    data[4:8] = b"\xff" * 4
    with pytest.raises(ValueError, match="-1 s and 0 ns is no time"):
        cdr_codec.JointStates(TASK.hand.joints).unpack(bytes(data))


KEPT = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What is sent before the receiver is discovered arrives, too."""


class Post:
    """Nodes that publish numbers on one topic, and one that receives them."""

    def __init__(self, context, domain, **options):
        self.domain, self.got, self.contexts = domain, [], {}
        self.receiver = rclpy.create_node("receiver", context=context, namespace="post")
        self.inbox = Inbox.of(self.receiver)
        codec_ = cdr_codec.Rewards(1)
        self.pack = codec_
        self.inbox.subscribe(
            wire.Reward, topics.REWARD, lambda data: codec_.key(data)[0], self.got.append,
            KEPT, **options,
        )  # fmt: skip

    def sender(self, name, *words):
        """A publisher of a node of that name, as another process with these words has it."""
        context = Context()
        rclpy.init(context=context, domain_id=self.domain)
        node = rclpy.create_node(name, context=context, namespace="post", cli_args=words)
        publisher = node.create_publisher(wire.Reward, topics.REWARD, KEPT)
        self.contexts[publisher] = node, context
        return publisher

    def send(self, publisher, number):
        publisher.publish(wire.Reward(episode=number, terms=[0.0]))

    def leave(self, publisher):
        node, context = self.contexts.pop(publisher)
        node.destroy_node()
        context.try_shutdown()


@pytest.fixture
def post(domain, request):
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    made = Post(context, domain, **getattr(request, "param", {}))
    with EventLoop(made.receiver, context=context) as loop:
        made.loop = loop
        yield made
        for publisher in list(made.contexts):
            made.leave(publisher)
    context.try_shutdown()


def test_a_stranger_is_never_heard_though_no_listed_node_is_there(post):
    stranger = post.sender("my_reward")
    post.send(stranger, 1)
    drops = post.inbox.drops
    post.loop.wait(lambda: topics.REWARD in drops, "the drop")
    assert "my_reward sent it; only reward may" in drops[topics.REWARD].reason
    listed = post.sender("reward")
    post.send(listed, 2)
    post.loop.wait(lambda: post.got == [2], "the listed node")
    post.send(stranger, 3)
    post.send(listed, 4)
    post.loop.wait(lambda: 4 in post.got and drops[topics.REWARD].count == 2, "both")
    assert post.got == [2, 4]


def test_a_node_of_yours_takes_the_place_of_ours_by_its_name(post):
    yours = post.sender("my_reward", "--ros-args", "-r", "__node:=reward")
    post.send(yours, 1)
    post.loop.wait(lambda: post.got == [1], "the node")


@pytest.mark.parametrize("post", [{"senders": ()}], indirect=True)
def test_a_topic_without_listed_nodes_is_open_to_all(post):
    stranger = post.sender("x")
    post.send(stranger, 1)
    post.loop.wait(lambda: post.got == [1], "the stranger")


@pytest.mark.parametrize("post", [{"exclusive": True}], indirect=True)
def test_an_exclusive_topic_hears_one_listed_node_of_each_name(post):
    stranger, first, second = (post.sender(name) for name in ("x", "reward", "reward"))
    post.send(stranger, 1)
    post.send(first, 2)
    post.loop.wait(lambda: post.got == [2], "the first")
    drops = post.inbox.drops
    post.loop.wait(lambda: topics.REWARD in drops, "the stranger's drop")
    post.send(second, 3)
    post.loop.wait(lambda: drops[topics.REWARD].count == 2, "the second's drop")
    assert post.got == [2] and "a second reward sent it" in drops[topics.REWARD].reason
    post.leave(first)  # a node that is started again is heard at once
    publishers = post.receiver.get_publishers_info_by_topic
    post.loop.wait(lambda: len(publishers(topics.REWARD)) == 2, "the first to leave")
    post.send(second, 4)
    post.loop.wait(lambda: post.got == [2, 4], "the second")


def test_a_message_that_the_executor_takes_itself_is_judged_by_its_publishers_count(
    post, monkeypatch
):
    """It takes one that comes just after the channel has looked; its sender is not given then."""
    stranger, listed = post.sender("x"), post.sender("reward")
    post.send(listed, 1)
    post.loop.wait(lambda: post.got == [1], "the first, which is taken as usual")
    [channel] = post.inbox._channels
    monkeypatch.setattr(channel, "drain", lambda: False)
    for number in (2, 3):
        post.send(listed, number)
        post.loop.wait(lambda number=number: number in post.got, "one that was overtaken")
    for _ in range(2):  # fewer than the listed node's
        post.send(stranger, 9)
    post.send(listed, 4)
    post.loop.wait(lambda: 4 in post.got, "the last")
    assert post.got == [1, 2, 3, 4]


def rewards(*episodes):
    return [serialize_message(wire.Reward(episode=number, terms=[0.0])) for number in episodes]


def test_an_overtaken_message_of_two_possible_senders_waits_until_one_of_them_goes_on(post):
    [channel] = post.inbox._channels
    channel._names = lambda: {b"a": "reward", b"b": "x"}
    channel._counts |= {b"a": 7, b"b": 7}
    eighth, ninth = rewards(8, 9)
    channel.overtaken((eighth, {"publication_sequence_number": 8}))
    assert post.inbox.waiting and not post.got
    channel._note(b"a", 9)  # its eighth message is the overtaken one
    channel._receive(ninth, b"a")
    assert post.got == [8, 9] and not post.inbox.drops
    channel._counts |= {b"a": 9, b"b": 9}
    channel.overtaken((rewards(10)[0], {"publication_sequence_number": 10}))
    channel._note(b"a", 10)  # its tenth message was not overtaken
    assert post.inbox.drops[topics.REWARD].foreign == 1 and post.got == [8, 9]


def test_an_overtaken_message_behind_lost_ones_is_used(post):
    [channel] = post.inbox._channels
    channel._names = lambda: {b"a": "reward"}
    channel._counts[b"a"] = 7
    channel.overtaken((rewards(12)[0], {"publication_sequence_number": 12}))
    assert post.got == [12] and not post.inbox.waiting


def test_a_flood_of_a_program_without_a_name_displaces_no_message_of_another_one(post):
    [channel] = post.inbox._channels
    names = {}
    channel._names = lambda: names
    first, second, *flood = rewards(1, 2, *range(10, 10 + 3 * WAITING))
    channel._receive(first, b"listed")
    for data in flood:
        channel._receive(data, b"flood")
    channel._receive(second, b"listed")
    assert not post.got and post.inbox.drops[topics.REWARD].foreign == 2 * WAITING
    names[b"listed"] = "reward"
    post.inbox.settle()
    post.loop.wait(lambda: post.got == [1, 2], "the listed node's, in their order")
    names[b"flood"] = "x"
    post.loop.wait(lambda: not post.inbox.waiting, "the names")
    assert post.got == [1, 2] and post.inbox.drops[topics.REWARD].foreign == 3 * WAITING


def test_what_was_dropped_is_on_diagnostics_with_topic_count_and_reason(post):
    told = []
    report = Diagnostics(post.receiver)
    report._publisher.publish = told.append
    post.inbox.drop(topics.REWARD, "it is late")
    post.inbox.drop(topics.REWARD, "it is early")
    report.publish(b"\0", "well", {"x": 1})
    [status] = told[0].status
    told = {pair.key: pair.value for pair in status.values}
    assert told == {
        "x": "1", f"dropped on {topics.REWARD}": "2",
        f"dropped on {topics.REWARD}, last": "it is early",
    }  # fmt: skip
    assert status.level == b"\1" and "dropped 2 messages on reward" in status.message


def test_a_huge_message_is_not_copied(post, monkeypatch):
    monkeypatch.setattr("handlab_nodes.runtime.serialized.LONGEST", 1000)
    sender = post.sender("reward")
    sender.publish(wire.Reward(terms=[0.0] * 1000))
    drops = post.inbox.drops
    post.loop.wait(lambda: topics.REWARD in drops, "the drop")
    assert "longer than" in drops[topics.REWARD].reason


def test_a_started_announcement_that_names_no_process_is_dropped(domain):
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("client", context=context)
    with EventLoop(node, context=context) as loop:
        action_client = RestartSafeActionClient(node, loop, Reset, topics.RESET)
        [channel] = [c for c in Inbox.of(node)._channels if c.topic.endswith("started")]
        from std_msgs.msg import String

        channel.deliver(serialize_message(String(data="x" * 100_000)))
        assert action_client._server == ""
        channel.deliver(serialize_message(String(data="0" * 32)))
        assert action_client._server == "0" * 32
    context.try_shutdown()


def test_a_message_waits_for_its_nodes_name_as_long_as_a_busy_machine_needs(post, monkeypatch):
    """In lockstep the world would wait for a message that was dropped too early."""
    now, names = [100.0], {}
    monkeypatch.setattr("handlab_nodes.runtime.inbox.time.monotonic", lambda: now[0])
    [channel] = post.inbox._channels
    channel._names = lambda: names
    data = serialize_message(wire.Reward(episode=1, terms=[0.0]))
    channel._receive(data, b"slow")
    assert post.inbox.settle() == pytest.approx(ANSWER) and post.inbox.waiting and not post.got
    now[0] += 20.0
    assert post.inbox.settle() == pytest.approx(LATE_ANSWER) and post.inbox.waiting
    now[0] += 1.0
    names[b"slow"] = "reward"
    post.inbox.settle()
    assert post.got == [1] and not post.inbox.waiting
    channel._receive(data, b"nobody")
    now[0] += NAMELESS + 1.0
    post.inbox.settle()
    assert post.got == [1] and not post.inbox.waiting
    assert post.inbox.drops[topics.REWARD].foreign == 1


def test_a_message_that_the_executor_takes_itself_waits_for_its_nodes_name(post):
    [channel] = post.inbox._channels
    names = channel._names = lambda: names.known
    names.known = {}
    data = serialize_message(wire.Reward(episode=1, terms=[0.0]))
    channel.overtaken((data, {"publication_sequence_number": 1}))
    assert post.inbox.waiting and not post.got
    names.known = {b"late": "reward"}
    post.loop.wait(lambda: post.got == [1], "the message")
    assert not post.inbox.waiting and not post.inbox.drops
