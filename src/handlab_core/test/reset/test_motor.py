"""The reset procedure, driven by a claw of pure arithmetic."""

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import valve
from handlab_core.reset.motor import MotorReset, ResetConfig, Stage
from handlab_core.reset.procedure import RESETS
from handlab_core.types import JointState, Reading

PERIOD = 0.1


class Clockwork:
    """Joints that reach their targets at once, except some that are stuck."""

    def __init__(self, hand, angle, stuck=(), unstick_after=None):
        self.hand, self.q, self.angle, self.time = hand, np.full((1, hand.n), 0.3), angle, 0.0
        self.stuck = [hand.index(name) for name in stuck]
        self.unstick_after = unstick_after
        self.object_stuck = False

    def reading(self):
        stamp, none = np.array([self.time]), np.zeros((1, self.hand.n))
        angle = np.array([[self.angle]])
        hand = JointState(stamp, self.q.copy(), none, none)
        return Reading(hand, JointState(stamp, angle, 0 * angle, 0 * angle))

    def obey(self, tick):
        self.time += PERIOD
        free = tick.hand.effort[0] > 0
        if self.unstick_after is None or self.time < self.unstick_after:
            free[self.stuck] = False
        self.q[0, free] = tick.hand.q[0, free]
        if tick.fixture.effort[0, 0] > 0 and not self.object_stuck:
            self.angle = float(tick.fixture.q[0, 0])


def run(machine, reset, limit=2000):
    ticks = []
    while len(ticks) < limit:
        ticks.append(reset.tick(machine.reading(), PERIOD))
        if ticks[-1].ended:
            return ticks
        machine.obey(ticks[-1])
    raise AssertionError("the reset never ended")


@pytest.fixture
def hand():
    return make_hand("claw")


def stages(ticks):
    seen = [tick.stage for tick in ticks]
    return [s for i, s in enumerate(seen) if i == 0 or s != seen[i - 1]]


def test_a_free_hand_passes_every_stage_once(hand):
    machine = Clockwork(hand, angle=2.5)
    ticks = run(machine, MotorReset(hand, valve(), 0.5))
    assert stages(ticks) == [
        Stage.RELEASE, Stage.OBJECT_HOME, Stage.HAND_HOME, Stage.VERIFY, Stage.DONE
    ]  # fmt: skip
    np.testing.assert_allclose(machine.q[0], hand.nominal)
    assert machine.angle == 0.5


def test_released_joints_are_limp_until_the_object_is_home(hand):
    ticks = run(Clockwork(hand, angle=1.0), MotorReset(hand, valve(), 0.0))
    limp = np.isin(hand.joints, hand.release)
    for tick in ticks:
        if tick.stage in (Stage.RELEASE, Stage.OBJECT_HOME):
            np.testing.assert_array_equal(tick.hand.effort[0] == 0, limp)


def test_a_stuck_joint_ends_in_a_clean_abort_that_names_it(hand):
    reset = MotorReset(hand, valve(), 0.0)
    ticks = run(Clockwork(hand, 1.0, stuck=["MFJ21"]), reset)
    assert ticks[-1].stage is Stage.FAILED
    assert ticks[-1].attempt == ResetConfig().attempts
    assert reset.failed_joints == ("MFJ21",)
    assert (ticks[-1].hand.effort == 0).all() and (ticks[-1].fixture.effort == 0).all()


def test_a_worn_hand_begins_where_its_joints_come_to_rest_but_not_without_the_object(hand):
    build = RESETS.make("motor_worn")
    worn = build(hand, valve(), 0.0)
    ticks = run(Clockwork(hand, 1.0, stuck=["MFJ21"]), worn)
    assert ticks[-1].stage is Stage.DONE and ticks[-1].attempt == 1 and worn.elapsed < 3.0
    machine = Clockwork(hand, 1.0, stuck=["MFJ21"])
    machine.object_stuck = True
    assert run(machine, build(hand, valve(), 0.0))[-1].stage is Stage.FAILED


def test_a_stuck_object_is_named(hand):
    machine = Clockwork(hand, 1.0)
    machine.object_stuck = True
    reset = MotorReset(hand, valve(), 0.0)
    assert run(machine, reset)[-1].stage is Stage.FAILED
    assert reset.failed_joints == ("valve",)


def test_a_joint_that_comes_free_is_retried(hand):
    reset = MotorReset(hand, valve(), 0.0)
    ticks = run(Clockwork(hand, 1.0, stuck=["THJ32"], unstick_after=6.0), reset)
    assert ticks[-1].stage is Stage.DONE and ticks[-1].attempt == 2
    assert Stage.DISENTANGLE in stages(ticks)


def test_it_never_takes_longer_than_its_limits_allow(hand):
    machine = Clockwork(hand, 1.0, stuck=hand.joints)
    machine.object_stuck = True
    reset, config = MotorReset(hand, valve(), 0.0), ResetConfig()
    run(machine, reset)
    one = config.release_time + config.object_timeout + config.hand_timeout
    one += config.disentangle_time * (1 + len(hand.disentangle)) + 5 * PERIOD
    assert machine.time <= config.attempts * one
