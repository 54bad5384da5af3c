"""Old commands are held, then released; controllers and our own nodes."""

import numpy as np

from handlab_core.hands import make_hand
from handlab_core.hardware.lockstep import HAND
from handlab_core.objects.fixture import valve
from handlab_core.safety import limits
from handlab_core.safety.command_watchdog import Watchdog
from handlab_core.types import Command, JointState, Reading


def command(value, n=9):
    return Command(np.full((1, n), value), np.ones((1, n)))


def test_old_commands_are_held_and_then_let_go():
    hand = make_hand("claw")
    dog, now = Watchdog(hand, valve()), 100.0

    def reading(q):
        state = JointState(np.zeros(1), np.full((1, 9), q), np.zeros((1, 9)), np.zeros((1, 9)))
        return Reading(state, JointState(np.zeros(1), *[np.zeros((1, 1))] * 3))

    assert (dog.commands(reading(0.1), now)[0].effort == 0).all()  # nothing was ever asked for
    dog.feed(HAND, command(0.2), now)
    assert dog.commands(reading(0.1), now + limits.COMMAND_TIMEOUT)[0].q[0, 0] == 0.2
    old = now + limits.COMMAND_TIMEOUT + 0.01
    assert dog.commands(reading(0.15), old)[0].q[0, 0] == 0.15
    assert dog.commands(reading(0.05), old + 0.5)[0].q[0, 0] == 0.15  # held where it grew old
    gone = dog.commands(reading(0.05), now + limits.RELEASE_TIMEOUT + 0.01)[0]
    assert (gone.effort == 0).all()
    dog.feed(HAND, command(0.2), now + 10)
    assert (dog.commands(reading(0.1), now + 10)[0].effort == 1).all()


def test_controllers_are_not_heard_while_our_own_nodes_command():
    """A controller's command has no effort: infinite for every joint."""
    dog, now = Watchdog(make_hand("claw"), valve()), 100.0
    state = JointState(np.zeros(1), *[np.zeros((1, 9))] * 3)
    reading = Reading(state, JointState(np.zeros(1), *[np.zeros((1, 1))] * 3))
    theirs = Command(np.full((1, 9), 0.3), np.full((1, 9), np.inf))

    def target(when):
        return dog.commands(reading, when)[0].q[0, 0]

    dog.feed(HAND, theirs, now)
    assert target(now) == 0.3
    dog.feed(HAND, command(0.1), now)
    dog.feed(HAND, theirs, now + limits.COMMAND_TIMEOUT)
    assert target(now) == 0.1 and dog.overruled == 1
    later = now + limits.COMMAND_TIMEOUT + 0.01
    dog.feed(HAND, theirs, later)
    assert target(later) == 0.3 and dog.overruled == 1
    dog.feed(HAND, command(0.1), later)
    dog.engage(HAND, True)  # handed over
    dog.feed(HAND, theirs, later)
    assert target(later) == 0.3


def test_only_controllers_are_expected_to_go_on_commanding():
    dog, now = Watchdog(make_hand("claw"), valve()), 100.0
    theirs = Command(np.full((1, 9), 0.3), np.full((1, 9), np.inf))
    assert dog.silence(now) == 0.0
    dog.feed(HAND, theirs, now)
    assert dog.silence(now + limits.COMMAND_TIMEOUT) == 0.0
    assert dog.silence(now + 1.0) == 1.0
    dog.feed(HAND, command(0.1), now + 1.0)
    assert dog.silence(now + 9.0) == 0.0
    dog.feed(HAND, theirs, now + 9.0)
    dog.engage(HAND, False)  # limp on purpose
    assert dog.silence(now + 19.0) == 0.0
