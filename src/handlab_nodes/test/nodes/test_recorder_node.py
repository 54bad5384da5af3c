"""Log times of a recording, and messages from before it."""

import struct

from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from handlab_core.types import NS_PER_S
from handlab_nodes.messages import convert, topics
from handlab_nodes.nodes.recorder_node import LogTime, Tape


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
