"""From recorded motion to episodes: laws, and cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core import batch
from handlab_core.demonstrations.action_inference import Travel, loaded_servo, next_position, servo
from handlab_core.demonstrations.gait import Gait
from handlab_core.demonstrations.recording import Motion, to_episode
from handlab_core.demonstrations.scripted_teacher import GaitTeacher, PoseTeacher, TeacherConfig
from handlab_core.demonstrations.segmentation import (
    DemonstrationSegmenter,
    OperatorCommand,
    Phase,
    SegmenterConfig,
)
from handlab_core.demonstrations.start_check import ELSEWHERE, check_start
from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.rewards.goal import ObjectAim, PoseAim
from handlab_core.tasks import make_task
from handlab_core.types import Goal, JointState, ObjectEstimate

TASK = make_task("valve")
HAND, FIXTURE = TASK.hand, TASK.fixture
N = HAND.n


def recorded(rate=0.01, seconds=1.0, **changes):
    """A hand and an object that move evenly, read at a rate."""
    stamps = np.round(5.0 + np.arange(0.0, seconds + 0.3, rate), 9)
    elapsed = stamps - 5.0
    q = HAND.nominal + 0.1 * elapsed[:, None]
    qd = np.full_like(q, 0.1)
    hand = JointState(stamps, q, qd, np.zeros_like(q))
    obj = ObjectEstimate(stamps, 0.5 * elapsed, np.full(len(stamps), 0.5))
    goal = Goal(np.array([3]), np.array([5.0]), np.array([[np.pi]]), np.zeros((1, 1)))
    values = {
        "hand": hand, "object": obj, "goal": goal, "began": 5.0, "ended": 5.0 + seconds,
        "episode": 3, "seed": 7, "reset_s": 2.0, "reset_attempts": 1,
    }  # fmt: skip
    return Motion(**(values | changes))


def test_states_are_taken_one_control_period_apart():
    episode = to_episode(recorded(), TASK)
    assert episode.steps == 10 and episode.time.experience_s == pytest.approx(1.0)
    np.testing.assert_allclose(episode.trajectory.errors, 0.05 * np.arange(1, 11) - np.pi)
    joints = HAND.normalise(HAND.nominal + 0.01 * np.arange(11)[:, None])
    np.testing.assert_allclose(episode.trajectory.observations[:, :N], joints, atol=1e-12)
    assert (episode.number, episode.key.seed, episode.time.reset_s) == (3, 7, 2.0)


def test_faster_readings_show_the_same_episode():
    fast, slow = to_episode(recorded(0.01), TASK), to_episode(recorded(0.1), TASK)
    np.testing.assert_allclose(
        fast.trajectory.observations, slow.trajectory.observations, atol=1e-12
    )


def test_a_stream_that_was_silent_shows_nothing():
    motion = recorded()
    kept = (motion.object.stamp < 5.4) | (motion.object.stamp > 5.8)
    obj = ObjectEstimate(*(getattr(motion.object, n)[kept] for n in ("stamp", "angle", "velocity")))
    with pytest.raises(BadDemonstrations, match=r"the object was silent for 0\.2. s"):
        to_episode(recorded(object=obj), TASK)
    with pytest.raises(BadDemonstrations, match=r"5 control periods"):
        to_episode(recorded(seconds=0.3), TASK)
    with pytest.raises(BadDemonstrations, match=r"the hand was silent for 1\.00 s at 4\.00 s"):
        to_episode(recorded(began=4.0), TASK)


def test_a_free_servo_by_hand():
    """Stiffness 2, losses 0.1, 0.1 s: a target moves the joint 1 - exp(-2) = 0.8647 of the way."""
    travel = Travel(np.array([np.zeros(N), np.full(N, 0.1)]), np.zeros(2), 0.1)
    np.testing.assert_allclose(servo(HAND, FIXTURE, travel), [[0.1 / 0.86466472] * N])
    np.testing.assert_array_equal(next_position(HAND, FIXTURE, travel), [[0.1] * N])
    np.testing.assert_array_equal(loaded_servo(HAND, FIXTURE, travel), servo(HAND, FIXTURE, travel))


def test_what_the_object_takes_up_the_fingers_give():
    """One joint moves by 0.1 rad and the valve by 0.2 in 0.1 s: (0.1 * 2 + 0.01) * 0.2 N m rad."""
    moved = np.zeros(N)
    moved[3] = 0.1
    travel = Travel(np.array([np.zeros(N), moved]), np.array([0.0, -0.2]), 0.1)
    load = loaded_servo(HAND, FIXTURE, travel) - servo(HAND, FIXTURE, travel)
    assert load[0, 3] == pytest.approx(0.21 * 0.2 / 0.1 / HAND.stiffness[3], rel=1e-6)
    assert not np.delete(load[0], 3).any()


GAIT = Gait(np.array([[0.0, 0.0], [1.0, 0.5], [1.0, -0.5]]), np.array(2.0), np.array(0.5))


def test_a_gait_goes_round_at_the_rate_of_its_fastest_joint():
    """Ways of 1, 1 and 1 rad: straight between poses, and round again."""
    along = np.array([0.0, 0.5, 1.0, 1.5, 2.5, 3.25])
    expected = [[0, 0], [0.5, 0.25], [1, 0.5], [1, 0], [0.5, -0.25], [0.25, 0.125]]
    np.testing.assert_allclose(GAIT.pose(along), expected, atol=1e-12)


def led(kind, *args, teacher_config=None, aim=None, count=1, start=(0.0, 0.0)):
    """A function from joints, (N, 2) rad, and error [rad] to where a teacher then holds them."""
    rngs = [np.random.default_rng(i) for i in range(count)]
    begin = np.tile(start, (count, 1))
    lead = kind(*args, aim or ObjectAim(), teacher_config or TeacherConfig(), rngs, begin)
    still = np.zeros(count)

    def tick(q, angle, goal=0.0):
        hand = JointState(still, *(np.broadcast_to(x, (count, 2)) for x in (q, 0.0, 0.0)))
        goals = np.broadcast_to(goal, (count, np.size(goal)))
        target = Goal(still.astype(int), still, goals, np.zeros_like(goals))
        return lead.tick(hand, ObjectEstimate(still, still + angle, still), target, 0.1)

    return tick


def test_a_teacher_slows_down_stops_and_goes_back():
    tick = led(GaitTeacher, GAIT, start=(-0.3, 0.15))
    for pose in ([-0.1, 0.05], [0.0, 0.0]):  # to the gait, no faster than round it
        np.testing.assert_allclose(tick([0.0, 0.0], -3.0), [pose], atol=1e-12)
    np.testing.assert_allclose(tick([0.0, 0.0], -3.0), [[0.2, 0.1]])  # at full speed, 2 rad/s
    np.testing.assert_allclose(tick([0.0, 0.0], -0.25), [[0.3, 0.15]])  # at half
    rest = tick([0.28, 0.1], 0.01)
    np.testing.assert_array_equal(rest, [[0.28, 0.1]])  # no pressure is left
    np.testing.assert_array_equal(tick([0.0, 0.0], 0.05), rest)  # not worth it
    np.testing.assert_allclose(tick([0.0, 0.0], 0.25), [[0.2, 0.1]])  # back


def test_a_teacher_leads_straight_to_a_pose_and_stays():
    """At 2 rad/s, of the joint that has farthest to go."""
    tick = led(PoseTeacher, aim=PoseAim())
    pose = [0.5, -0.25]
    np.testing.assert_allclose(tick([0.0, 0.0], 0.0, pose), [[0.2, -0.1]])
    np.testing.assert_allclose(tick([0.0, 0.0], 0.0, pose), [[0.4, -0.2]])
    for _ in range(2):
        np.testing.assert_allclose(tick([0.4, -0.2], 0.0, pose), [pose])


@pytest.mark.parametrize("kind", ["gait", "pose"])
def test_a_teacher_that_fails_breaks_off_for_good(kind):
    fails = TeacherConfig(failures=1.0)
    if kind == "gait":
        tick = led(GaitTeacher, GAIT, teacher_config=fails, count=3)
        for angle in np.linspace(-3.0, -0.3, 40):
            rest = tick([0.0, 0.0], angle)
        np.testing.assert_array_equal(tick([0.0, 0.0], -3.0), rest)
        return
    tick = led(PoseTeacher, teacher_config=fails, aim=PoseAim(), count=3)
    rest = np.zeros((3, 2))
    for _ in range(10):
        rest = tick(rest, 0.0, [1.0, 1.0])
    assert (rest < 0.99).all()
    np.testing.assert_array_equal(tick([0.0, 0.0], 0.0, [1.0, 1.0]), rest)


@pytest.mark.parametrize(
    "wrong", [{"speed": 0.0}, {"noise": -1.0}, {"failures": 1.5}, {"speed": float("nan")}]
)
def test_a_teacher_config_that_cannot_be_is_refused(wrong):
    with pytest.raises(BadConfig, match=f"{next(iter(wrong))} is "):
        TeacherConfig(**wrong)


def test_a_gait_that_cannot_be_is_refused():
    with pytest.raises(BadConfig, match="two poses"):
        Gait(np.zeros((1, 9)), np.array(1.0), np.array(1.0))
    with pytest.raises(BadConfig, match="positive"):
        Gait(np.zeros((2, 9)), np.array(0.0), np.array(1.0))


# Begin and end.


def seen(speeds, words=None, **config):
    """Return a segmenter after the speeds of a hand, ten per second."""
    segmenter, words = DemonstrationSegmenter(TASK, SegmenterConfig(**config)), words or {}
    for i, speed in enumerate(speeds):
        segmenter.update(round(0.1 * i, 9), np.array([0.0, -speed, speed / 2]), words.get(i))
    return segmenter


STILL, MOVING = [0.0] * 20, [1.0] * 30


def test_motion_begins_and_ends_a_demonstration():
    """It began with the last state that was still, and ended when it was still for `rest`."""
    segmenter = seen(STILL + MOVING + STILL)
    assert segmenter.phase is Phase.ENDED
    assert segmenter.began == pytest.approx(1.9)
    assert segmenter.ended == pytest.approx(5.0 + SegmenterConfig().rest)


def test_fingers_that_sink_when_they_are_let_go_begin_nothing():
    segmenter = seen([0.0, 1.0, 1.0, 0.5, 0.0, 0.0, *STILL])
    assert segmenter.phase is Phase.WAITING and np.isnan(segmenter.began)


def test_a_short_stop_ends_nothing():
    segmenter = seen(STILL + MOVING + [0.0] * 10 + MOVING)
    assert segmenter.phase is Phase.GUIDING


def test_a_person_may_tell_begin_and_end():
    segmenter = seen(STILL + STILL, {3: OperatorCommand.BEGIN, 25: OperatorCommand.END}, rest=60.0)
    assert (segmenter.began, segmenter.ended) == (pytest.approx(0.3), pytest.approx(2.5))


def test_somebody_who_left_ends_it():
    segmenter = seen(STILL + [1.0] * 100, longest=5.0)
    assert segmenter.ended - segmenter.began == pytest.approx(5.0)


def test_at_once_there_is_nothing_to_detect():
    segmenter = seen([0.0] * 70, at_once=True)
    assert (segmenter.began, segmenter.ended) == (0.0, pytest.approx(TASK.steps * TASK.period))


# Where it began.


def test_a_hand_that_is_elsewhere_is_told_both_poses():
    motion = recorded()
    hand = batch.take(motion.hand, [0])
    obj = ObjectEstimate(*(np.array([x]) for x in (5.0, 0.0, 0.0)))
    check_start(TASK, motion, replace(hand, q=hand.q + 0.9 * ELSEWHERE), obj)
    q = hand.q.copy()
    q[0, 4] += 1.1 * ELSEWHERE
    with pytest.raises(BadDemonstrations, match=r"elsewhere: MFJ21 more than 10 degrees") as error:
        check_start(TASK, motion, replace(hand, q=q), obj)
    assert f"MFJ21 {q[0, 4]:.2f}" in str(error.value)
    assert f"MFJ21 {hand.q[0, 4]:.2f}" in str(error.value)
    with pytest.raises(BadDemonstrations, match="elsewhere: valve"):
        check_start(TASK, motion, hand, replace(obj, angle=obj.angle + 1.1 * ELSEWHERE))


def test_what_was_recorded_before_and_after_does_not_count():
    motion = recorded(seconds=1.0, began=5.2, ended=5.9).within()
    assert motion.hand.stamp[[0, -1]].tolist() == [5.2, 5.9]
    assert motion.object.stamp[[0, -1]].tolist() == [5.2, 5.9]
