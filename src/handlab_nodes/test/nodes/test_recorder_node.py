"""Log times of a recording, and messages from before it."""

import struct

import pytest
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from handlab_core.errors import BadConfig, CannotWrite
from handlab_core.types import NS_PER_S
from handlab_nodes.messages import convert, topics
from handlab_nodes.nodes import recorder_node
from handlab_nodes.nodes.recorder_node import LogTime, Ring, Tape, WithoutRepetitions
from handlab_nodes.runtime.serialized import repetition


class Tick:
    def __init__(self, ns):
        self.nanoseconds = ns

    def now(self):
        return self


def stamped(seconds):
    return b"\0\1\0\0" + struct.pack("<iI", seconds, 0)


def test_where_a_stranger_publishes_too_a_far_stamp_moves_no_log_time():
    strange = {topics.HAND_STATES}
    times = LogTime(Tick(0), simulated=True, is_ours=lambda topic: topic not in strange)
    assert times.see(topics.HAND_STATES, stamped(10**9)) is None
    assert times.see(topics.OBJECT_STATE, stamped(5)) == 5 * NS_PER_S
    assert times.see(topics.HAND_STATES, stamped(10**9)) == 5 * NS_PER_S
    assert times.see(topics.HAND_STATES, stamped(6)) == 6 * NS_PER_S  # the driver's, as before
    assert times.see(topics.OBJECT_STATE, stamped(16)) == 16 * NS_PER_S  # after a reset


def test_log_times_never_go_back_and_a_stranger_does_not_move_them():
    clock = Tick(0)
    simulated = LogTime(clock, simulated=True)
    assert simulated.see("/diagnostics", stamped(9)) is None  # no time is known yet
    assert simulated.see(topics.CLOCK, stamped(5)) == 5 * NS_PER_S
    assert simulated.see(topics.HAND_COMMANDS, stamped(10**9)) == 5 * NS_PER_S
    assert simulated.see(topics.HAND_STATES, stamped(4)) == 5 * NS_PER_S
    assert simulated.see(topics.HAND_STATES, b"") == 5 * NS_PER_S
    real = LogTime(clock, simulated=False)
    clock.nanoseconds = 7
    assert real.see(topics.HAND_STATES, stamped(5)) == 7
    clock.nanoseconds = 6  # the time of day was set back
    assert real.see(topics.HAND_STATES, stamped(5)) == 7


def test_messages_before_the_first_time_are_logged_with_it(tmp_path):
    tape = Tape(tmp_path / "bag", LogTime(Tick(0), simulated=True))
    words = tape.bag.connect("/robot_description", String)
    clocks = tape.bag.connect("/clock", Clock)
    tape.write(words, topics.DESCRIPTION, serialize_message(String(data="<robot/>")))
    stamp = convert.to_stamp(500.0)
    tape.write(clocks, topics.CLOCK, serialize_message(Clock(clock=stamp)))
    tape.close()
    with AnyReader([tmp_path / "bag"], default_typestore=None) as reader:
        times = [time for _, time, _ in reader.messages()]
    assert times == [500 * NS_PER_S] * 2


def test_latched_states_from_before_the_recording_are_left_out(tmp_path):
    tape = Tape(tmp_path / "bag", LogTime(Tick(20 * NS_PER_S), simulated=True))
    states = tape.bag.connect("/hand/joint_states", JointState)
    for seconds in (19.9, 20.0, 20.1):
        message = JointState()
        message.header.stamp = convert.to_stamp(seconds)
        tape.write(states, topics.HAND_STATES, serialize_message(message))
    tape.close()
    with AnyReader([tmp_path / "bag"], default_typestore=None) as reader:
        assert [time / NS_PER_S for _, time, _ in reader.messages()] == [20.0, 20.1]


def state(seconds):
    message = JointState()
    message.header.stamp = convert.to_stamp(seconds)
    return serialize_message(message)


def test_a_repeated_message_is_recorded_once_and_time_never_goes_back():
    """A reader appears while the recording runs: the publisher repeats its newest messages."""
    used = []
    use = WithoutRepetitions(used.append)
    use(repetition(state(0.9)))  # the recorder's own subscription appeared
    for seconds in (1.0, 1.1, 1.2):
        use(state(seconds))
    for seconds in (1.0, 1.1, 1.2, 1.3):
        use(repetition(state(seconds)))
    use(state(1.4))
    assert used == [state(seconds) for seconds in (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)]
    use(state(0.0))  # a world that begins again
    use(repetition(state(0.1)))
    assert used[6:] == [state(0.0), state(0.1)]


def read(bag):
    with AnyReader([bag], default_typestore=None) as reader:
        return [(c.topic, time / NS_PER_S) for c, time, _ in reader.messages()]


def test_the_ring_keeps_the_newest_seconds_and_the_latched_messages_before_them(tmp_path):
    ring = Ring(3.0, LogTime(Tick(0), simulated=True))
    with pytest.raises(BadConfig, match="nothing has come yet"):
        ring.save(tmp_path / "none", str)
    ring.add(topics.DESCRIPTION, serialize_message(String(data="<old/>")))
    ring.add(topics.DESCRIPTION, serialize_message(String(data="<robot/>")))
    for tenth in range(101):
        ring.add(topics.HAND_STATES, state(tenth / 10))
    assert ring.save(tmp_path / "bag", lambda topic: f"/{topic}") == 32
    said = read(tmp_path / "bag")
    assert said[0] == ("/robot_description", 7.0)
    assert [time for topic, time in said if topic == "/hand/joint_states"] == pytest.approx(
        [7.0 + tenth / 10 for tenth in range(31)]
    )
    ring.add(topics.HAND_STATES, state(10.5))  # it goes on, and can be saved again
    ring.save(tmp_path / "again", lambda topic: f"/{topic}")
    assert read(tmp_path / "again")[-1] == ("/hand/joint_states", 10.5)


def test_the_ring_has_an_upper_limit_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_node, "MOST_KEPT", 10 * len(state(0.0)))
    ring = Ring(1000.0, LogTime(Tick(0), simulated=True))
    for second in range(50):
        ring.add(topics.HAND_STATES, state(float(second)))
    assert ring.save(tmp_path / "bag", str) == 10


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    ring = Ring(3.0, LogTime(Tick(0), simulated=True))
    ring.add(topics.HAND_STATES, state(1.0))
    with pytest.raises(CannotWrite, match="file"):
        ring.save(tmp_path / "file" / "bag", str)
