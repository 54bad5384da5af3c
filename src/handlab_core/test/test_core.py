"""Registries, tasks, lockstep, watchdog, policies: the basis of all other modules."""

import os
import subprocess
import sys

import numpy as np
import pytest

from handlab_core.batch import put, stack, take
from handlab_core.environment.policy import GaussianPolicy, check_layout, layout_json
from handlab_core.errors import BadConfig, BadRun, LayoutMismatch, UnknownName
from handlab_core.hands import HANDS, make_hand
from handlab_core.hardware.lockstep import FIXTURE, HAND, Lockstep
from handlab_core.objects.fixture import valve
from handlab_core.registry import Registry
from handlab_core.safety import limits
from handlab_core.safety.command_watchdog import Watchdog
from handlab_core.tasks import TASKS, make_task
from handlab_core.types import Command, JointState, Reading


def command(value, n=9):
    return Command(np.full((1, n), value), np.ones((1, n)))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(UnknownName, match=r"unknown task 'valv'; there is: .*valve"):
        make_task("valv")
    with pytest.raises(UnknownName, match=r"unknown hand 'x'; there is: .*claw"):
        make_hand("x")


def test_a_name_is_registered_once():
    things = Registry("thing")

    def one():
        return 1

    things.register(one)
    with pytest.raises(KeyError, match="already defined"):
        things.register(one)


@pytest.mark.parametrize("name", sorted(HANDS))
def test_targets_and_normalised_positions_are_inverse(name):
    hand = make_hand(name)
    action = np.random.default_rng(0).uniform(-1, 1, (5, hand.n))
    np.testing.assert_allclose(hand.normalise(hand.target(action)), action, atol=1e-12)
    np.testing.assert_allclose(hand.target(np.ones(hand.n)), hand.upper, atol=1e-12)
    np.testing.assert_allclose(hand.target(-np.ones(hand.n)), hand.lower, atol=1e-12)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_starts_depend_on_seed_and_number_alone(name):
    task = make_task(name)
    assert task.start(3, 5) == task.start(3, 5)
    assert task.layout and task.observation_size == sum(size for _, size in task.layout)


def test_success_is_about_every_step_of_the_last_fifth():
    task = make_task("valve")
    errors = np.zeros(60)
    errors[:48] = 3.0
    assert task.succeeded(errors) == (True, True)
    errors[50] = task.success.tolerance * 1.01
    assert task.succeeded(errors) == (False, True)
    errors[48:] = 0.2
    assert task.succeeded(errors) == (True, False)


def test_the_world_waits_for_every_engaged_group_and_refuses_other_times():
    gate = Lockstep()
    assert not gate.offer(HAND, command(0), stamp=0.2, now=0.1) and gate.stale == 1
    assert gate.offer(HAND, command(1), stamp=0.1, now=0.1)
    assert gate.take()[1] is None
    gate.engage(FIXTURE, True)
    assert not gate.offer(HAND, command(2), stamp=0.2, now=0.2)
    assert not gate.offer(HAND, command(3), stamp=0.2, now=0.2)  # twice: the first one counts
    assert gate.offer(FIXTURE, command(4, 1), stamp=0.2, now=0.2)
    hand, fixture, _ = gate.take()
    assert hand.q[0, 0] == 2 and fixture.q[0, 0] == 4


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


def policy(task, seed=0):
    rng = np.random.default_rng(seed)
    n, o = task.hand.n, task.observation_size
    return GaussianPolicy(
        (rng.normal(size=(o, 8)), rng.normal(size=(8, n))),
        (rng.normal(size=8), rng.normal(size=n)),
        np.full(n, -0.5),
        np.zeros(o),
        np.ones(o),
        4,
    )


def test_a_policy_survives_the_way_through_its_tensors():
    task = make_task("valve")
    before = policy(task)
    after = GaussianPolicy.from_tensors(before.tensors(), 4, task.spaces)
    x = np.random.default_rng(1).normal(size=(3, task.observation_size))
    np.testing.assert_array_equal(before.act(x), after.act(x))
    noise = np.ones((3, task.hand.n))
    np.testing.assert_allclose(before.act(x, noise) - before.act(x), np.exp(-0.5))
    tensors = before.tensors()
    del tensors["bias_1"]
    with pytest.raises(BadRun, match="bias_1"):
        GaussianPolicy.from_tensors(tensors, 4, task.spaces)


def test_another_layout_is_refused_with_both():
    task = make_task("valve")
    check_layout(task, layout_json(task.layout), "p")
    with pytest.raises(
        LayoutMismatch, match=r'p reads the observation \[\["x", 3\]\].*"joints", 9'
    ):
        check_layout(task, layout_json((("x", 3),)), "p")


def test_rows_are_taken_and_put_through_nested_values():
    state = JointState(np.arange(4.0), *[np.arange(8.0).reshape(4, 2)] * 3)
    whole = Reading(state, state)
    some = take(whole, np.array([1, 3]))
    np.testing.assert_array_equal(some.fixture.stamp, [1, 3])
    back = put(whole, np.array([0, 2]), some)
    np.testing.assert_array_equal(back.hand.stamp, [1, 1, 3, 3])
    np.testing.assert_array_equal(state.stamp, np.arange(4))  # the original is untouched
    assert stack([some, some]).hand.q.shape == (4, 2)


def test_a_task_that_cannot_be_is_refused():
    from dataclasses import replace

    with pytest.raises(BadConfig, match="5 steps"):
        replace(make_task("valve"), steps=3)
    with pytest.raises(UnknownName, match="robel"):
        make_task("valve").with_reward("nope")


TURNS = """
import os, threading
from handlab_core.system.scheduling import THREADS, use_batch_scheduling

end = threading.Event()
threading.Thread(target=end.wait).start()
use_batch_scheduling()
threading.Thread(target=end.wait).start()
print(*(os.sched_getscheduler(int(thread.name)) for thread in THREADS.iterdir()))
end.set()
"""


def test_all_threads_of_a_process_take_turns_those_to_come_too():
    """In a process of its own, since it is for ever."""
    done = subprocess.run([sys.executable, "-c", TURNS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == 3 * [str(os.SCHED_BATCH)]
