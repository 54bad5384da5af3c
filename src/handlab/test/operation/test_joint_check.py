"""First motion: every joint is measured, and a person confirms its name and its direction."""

import numpy as np
import pytest

from handlab.operation import motion
from handlab.operation.joint_check import TRAVEL, check_joint, direction
from handlab_core.errors import HandStopped, StationFault
from handlab_core.hands import make_hand

CLAW = make_hand("claw")


class FakeHand:
    """A hand that follows its targets, apart from its faults."""

    def __init__(self, blocked=(), hot_after=None, silent=()):
        self.hand, self.place = CLAW, "a fake"
        self.q = dict(zip(CLAW.joints, CLAW.nominal.tolist(), strict=True))
        self.blocked, self.hot_after, self.steps = blocked, hot_after, []
        self.silent, self.shown, self.newest = silent, dict(self.q), 0

    def position(self, joint):
        if len(self.steps) not in self.silent:
            self.newest, self.shown[joint] = len(self.steps), self.q[joint]
        return self.shown[joint]

    def measured_at(self):
        return self.newest

    def step(self, joint, position, alone):
        self.steps.append((joint, position, alone))
        if joint not in self.blocked:
            self.q[joint] = position
        return position

    def check(self):
        if self.hot_after is not None and len(self.steps) > self.hot_after:
            raise StationFault("servo 10 (FFJ10) is hot")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(motion.time, "sleep", lambda _: None)


def keys(*pressed):
    left = list(pressed)
    return lambda: left.pop(0) if left else ""


@pytest.mark.parametrize("joint", CLAW.joints)
def test_a_joint_moves_alone_slowly_and_comes_back(joint):
    hand = FakeHand()
    start = dict(hand.q)
    result = check_joint(hand, joint, print, keys("", "y"))
    assert result.confirmed and not result.problem
    assert abs(result.moved) == pytest.approx(TRAVEL)
    assert hand.q == pytest.approx(start)
    assert {name for name, _, alone in hand.steps} == {joint}
    assert all(alone for *_, alone in hand.steps)
    targets = np.array([start[joint], *(target for _, target, _ in hand.steps)])
    assert np.abs(np.diff(targets)).max() <= motion.SPEED * motion.PERIOD + 1e-9
    index = CLAW.index(joint)
    assert (CLAW.lower[index] <= targets).all() and (targets <= CLAW.upper[index]).all()


def test_a_joint_at_its_upper_end_moves_down():
    hand = FakeHand()
    hand.q["FFJ12"] = CLAW.upper[2]
    assert check_joint(hand, "FFJ12", print, None).asked == -TRAVEL


@pytest.mark.parametrize(
    ("key", "words"), [("d", "`direction`"), ("n", "exchange the ids"), ("y", "")]
)
def test_the_answer_of_a_person_says_what_to_mend(key, words):
    result = check_joint(FakeHand(), "FFJ10", print, keys(key))
    assert words in result.problem and bool(words) == bool(result.problem)
    assert result.confirmed == (key == "y")


def test_a_motion_is_repeated_on_request():
    said = []
    result = check_joint(FakeHand(), "FFJ10", said.append, keys("r", "x", "y"))
    assert result.confirmed and len(said) == 2


def test_a_blocked_joint_is_found_whatever_the_person_says():
    result = check_joint(FakeHand(blocked=("FFJ11",)), "FFJ11", print, keys("y"))
    assert "blocked" in result.problem


def test_a_motor_that_is_silent_for_a_while_is_not_taken_for_a_blocked_joint():
    """On a busy bus readings stay away for a second, and the joint moves all the same."""
    silent = range(5, 5 + int(2.0 * motion.SETTLE / motion.PERIOD))
    result = check_joint(FakeHand(silent=silent), "FFJ11", print, keys("y"))
    assert not result.problem and abs(result.moved) == pytest.approx(TRAVEL, rel=0.2)


def test_a_joint_outside_of_its_range_does_not_move():
    hand = FakeHand()
    hand.q["FFJ10"] = 2.0
    result = check_joint(hand, "FFJ10", print, None)
    assert "outside of its range" in result.problem and "115" in result.problem
    assert not hand.steps


def test_a_servo_that_gets_hot_ends_the_check():
    with pytest.raises(StationFault, match="hot"):
        check_joint(FakeHand(hot_after=5), "FFJ10", print, None)


def test_the_stop_ends_the_motion_within_a_step():
    hand = FakeHand()
    with pytest.raises(HandStopped):
        check_joint(hand, "FFJ10", print, None, lambda: len(hand.steps) >= 3)
    assert len(hand.steps) == 3


def test_directions_are_those_of_the_description():
    assert "toward the other fingers" in direction(CLAW, "FFJ11", 0.0, TRAVEL)
    assert "away from the other fingers" in direction(CLAW, "FFJ11", 0.0, -TRAVEL)
    words = {direction(CLAW, joint, 0.0, TRAVEL).partition(" ")[2] for joint in
             ("FFJ10", "MFJ20", "THJ30")}  # fmt: skip
    assert len(words) == 1 and "clockwise" in words.pop()  # the fingers are alike
