"""Sessions, numbers, times, goals and marks: a demonstration is right or left out by name."""

import logging
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlab_data.bag_messages import NEEDED
from handlab_data.demonstration_reader import read_recording

HAND = "/hand/joint_states"
FIXTURE = "/fixture/joint_states"
OBJECT = "/object/state"
GOAL = "/episode_goal"
SESSION = "/demonstration/session"
MARK = "/demonstration/mark"

LAWS = settings(
    max_examples=40, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


BAD_NUMBERS = (np.nan, np.inf, -np.inf, 1e300)


@pytest.mark.parametrize("joints", [["FFJ10"], ["a"] * 9, []])
def test_a_session_of_other_joints_is_refused(bags, recorded, tmp_path, joints):
    recorded.on(SESSION)[0].joints = joints
    assert "its session has the joints" in bags.refusal(
        bags.write_mcap(tmp_path / "a.mcap", recorded)
    )


@pytest.mark.parametrize("text", ["\x1b[2J\n" * 9, "x" * 10**6, "\ud7ff\u202e"])
def test_texts_of_a_bag_stay_on_one_line_of_a_message(bags, recorded, tmp_path, text):
    for mark in recorded.on(MARK):
        mark.kind, mark.reason = 3, text
    message = bags.refusal(bags.write_mcap(tmp_path / "a.mcap", recorded))
    assert message.isprintable() and "no demonstration that can be used; 0: " in message
    recorded.on(SESSION)[0].task = text
    message = bags.refusal(bags.write_mcap(tmp_path / "b.mcap", recorded))
    assert message.isprintable() and "its task is" in message
    recorded.on(SESSION)[0].joints = [text] * 9
    assert bags.refusal(bags.write_mcap(tmp_path / "c.mcap", recorded)).isprintable()


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (SESSION, "it has no demonstration/session"),
        (HAND, "nothing was recorded of the hand"),
        (OBJECT, "nothing was recorded of the object"),
        (GOAL, "its goal"),
        (MARK, "none was recorded"),
    ],
)
def test_a_missing_topic_is_named(bags, recorded, tmp_path, topic, words):
    left = bags.collect(entry for entry in recorded if entry[0] != topic)
    assert words in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", left))


def test_a_bag_of_several_robots_is_refused_and_a_second_without_session_is_not_read(
    bags, recorded, tmp_path
):
    second = deepcopy(recorded.rename(lambda name: f"/left{name}"))
    for message in second.on(f"/left{HAND}"):
        message.position = message.position + 0.1
    both = bags.collect([*recorded, *second])
    assert "in the namespaces /, /left" in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", both))
    quiet = bags.collect(entry for entry in both if entry[0] != f"/left{SESSION}")
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "b.mcap", quiet)))
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "c.mcap", second)), but=(
        "observations", "actions", "rewards", "reward_terms"
    ))  # fmt: skip


def test_other_things_of_such_names_elsewhere_do_not_matter(bags, recorded, tmp_path):
    kind, header = "std_msgs/msg/Header", recorded.on(OBJECT)[0].header
    foreign = bags.collect((f"/camera{topic}", kind, 0, header) for topic in (OBJECT, HAND, MARK))
    path = bags.write_mcap(tmp_path / "a.mcap", bags.collect([*foreign, *recorded]))
    bags.assert_same(bags.read(path))
    assert "it has no demonstration/session; /camera" in bags.refusal(
        bags.write_mcap(tmp_path / "b.mcap", foreign)
    )


def test_two_sessions_are_refused(bags, recorded, tmp_path):
    other = deepcopy(recorded.on(SESSION)[0])
    other.teacher = "another"
    recorded.append((SESSION, NEEDED[SESSION[1:]][0], 10**12, other))
    assert "two different sessions" in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", recorded))


def middle(recorded, topic):
    """A message within the first demonstration."""
    began, ended = (mark.header.stamp for mark in recorded.on(MARK)[:2])
    times = [s.sec + s.nanosec / 1e9 for s in (began, ended)]
    during = [
        m for m in recorded.on(topic)
        if times[0] < m.header.stamp.sec + m.header.stamp.nanosec / 1e9 < times[1]
    ]  # fmt: skip
    return during[len(during) // 2]


def set_item(field, index):
    def change(message, value):
        values = np.array(getattr(message, field))
        values[index] = value
        setattr(message, field, values)

    return change


def set_field(field):
    return lambda message, value: setattr(message, field, value)


NUMBERS = {
    "position": (HAND, set_item("position", 4), "the position of MFJ21 is"),
    "velocity": (HAND, set_item("velocity", 0), "the velocity of FFJ10 is"),
    "effort": (HAND, set_item("effort", 8), "the effort of THJ32 is"),
    "fixture": (FIXTURE, set_item("position", 0), "the position of fixture is"),
    "angle": (OBJECT, set_field("angle"), "the angle of object is"),
    "turning": (OBJECT, set_field("velocity"), "the velocity of object is"),
    "goal": (GOAL, set_item("angle", 0), "the angle of goal is"),
    "goal's velocity": (GOAL, set_item("velocity", 0), "the velocity of goal is"),
    "reset": (MARK, set_field("reset_s"), "the reset before it took"),
}


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_an_impossible_number_leaves_its_demonstration_out_by_name(
    bags, recorded, tmp_path, caplog, name, value
):
    topic, change, words = NUMBERS[name]
    where = recorded.on(topic)[0] if topic in (GOAL, MARK) else middle(recorded, topic)
    change(where, value)
    with caplog.at_level(logging.WARNING):
        read = bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded))
    bags.assert_same(read, bags.expected[1:])
    assert f"demonstration 0 is left out: {words} {value:g}" in caplog.text


def test_a_joint_that_is_half_a_turn_out_of_its_range_leaves_it_out(bags, recorded, tmp_path):
    middle(recorded, HAND).position[1] += 2 * np.pi
    recording = read_recording(bags.write_mcap(tmp_path / "a.mcap", recorded))
    assert list(recording.motions) == [1]
    assert "FFJ11 is at" in recording.dropped[0] and "far from its range" in recording.dropped[0]


@pytest.mark.parametrize("topic", [HAND, FIXTURE, OBJECT])
def test_time_that_goes_back_leaves_it_out(bags, recorded, tmp_path, topic):
    stamp = middle(recorded, topic).header.stamp
    first = recorded.on(MARK)[0].header.stamp
    stamp.sec, stamp.nanosec = first.sec, first.nanosec + 1
    recording = read_recording(bags.write_mcap(tmp_path / "a.mcap", recorded))
    assert list(recording.motions) == [1]
    assert "goes back during it" in recording.dropped[0]


@pytest.mark.parametrize("size", [0, 2, 9])
def test_a_goal_of_another_size_leaves_it_out(bags, recorded, tmp_path, size):
    for goal in recorded.on(GOAL):
        goal.angle, goal.velocity = np.zeros(size), np.zeros(size)
    message = bags.refusal(bags.write_mcap(tmp_path / "a.mcap", recorded))
    assert f"has a goal of {size} angles; valve has 1" in message


def mark(recorded, number):
    return recorded.on(MARK)[number]


def end_later(recorded, seconds):
    for number in (1, 2):
        mark(recorded, number).header.stamp.sec += seconds


BAD_MARKS = {
    "ends before it begins": lambda r: end_later(r, -mark(r, 1).header.stamp.sec),
    "ends after the recording": lambda r: end_later(r, 60),
    "ends in years": lambda r: end_later(r, 10**9),
    "ends twice": lambda r: setattr(mark(r, 2), "kind", 1),
    "never begins": lambda r: setattr(mark(r, 0), "kind", 1),
    "is of an unknown kind": lambda r: setattr(mark(r, 1), "kind", 77),
    "accepted elsewhere": lambda r: setattr(mark(r, 2).header.stamp, "nanosec", 1),
    "never accepted": lambda r: setattr(mark(r, 2), "kind", 3),
    "of another number": lambda r: setattr(mark(r, 1), "episode", 17),
}


@pytest.mark.parametrize("fault", BAD_MARKS)
def test_marks_that_do_not_fit_leave_their_demonstration_out(bags, recorded, tmp_path, fault):
    BAD_MARKS[fault](recorded)
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded)), bags.expected[1:])


def test_the_marks_of_a_take_that_is_repeated_are_not_mixed(bags, recorded, tmp_path):
    """The begin of the second take is lost: its end must not go with the first one's begin."""
    began, _, accepted = recorded.on(MARK)[:3]
    for later in recorded.on(MARK)[3:]:
        later.episode = began.episode
    accepted.kind, accepted.reason = 3, "again"
    lost = recorded.on(MARK)[3]
    left = bags.collect(entry for entry in recorded if entry[3] is not lost)
    assert "fits no mark before" in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", left))


NUMERIC = {
    HAND: ("position", "velocity", "effort"),
    FIXTURE: ("position", "velocity", "effort"),
    OBJECT: ("angle", "velocity"),
    GOAL: ("angle", "velocity"),
    MARK: ("reset_s",),
}


def replace_number(message, field, value):
    if isinstance(getattr(message, field), float):
        setattr(message, field, value)
    elif len(getattr(message, field)):
        set_item(field, -1)(message, value)


@LAWS
@given(
    dropped=st.lists(st.floats(0, 1, exclude_max=True), max_size=3),
    replaced=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(BAD_NUMBERS)), max_size=3
    ),
)
def test_lost_messages_and_impossible_numbers_give_the_right_episodes_or_none(
    bags, tmp_path, dropped, replaced
):
    """With valid checksums: as another recorder, or another driver, would have written it."""
    recorded = bags.original()
    for part, value in replaced:
        topic, _, _, message = recorded[int(part * len(recorded))]
        for field in NUMERIC.get(topic, ()):
            replace_number(message, field, value)
    for part in dropped:
        del recorded[int(part * len(recorded))]
    bags.judge(bags.write_mcap(tmp_path / "a.mcap", recorded))
