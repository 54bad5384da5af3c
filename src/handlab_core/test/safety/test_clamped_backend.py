"""The guard on motors whose driver is stopped, late or early: goals are never too fast."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_core.hands import make_hand
from handlab_core.hardware.backend import GoalsInForce, Hardware
from handlab_core.hardware.motor_status import GroupStatus, StationStatus
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command, JointState, Reading

HAND, VALVE = make_hand("claw"), FIXTURES.make("valve")
PERIOD, TICK = 0.01, 2 * np.pi / 4096  # s; rad


class Motors:
    """Motors that reach their targets at once; implements `Hardware` with its own clock."""

    num_envs = 1

    def __init__(self, q):
        self.now, self.delivered, self.lost, self.hold = 0.0, False, False, None
        self.q = {0: q.copy(), 1: np.zeros((1, 1))}
        self.effort = {group: np.zeros_like(q) for group, q in self.q.items()}
        self.sent_at = {group: np.full(q.shape, -np.inf) for group, q in self.q.items()}
        self.wire = []  # time, group, place, ticks, engaging
        self.stops = []  # s, each before the next thing that the driver does

    def _stop(self):
        if self.stops:
            self.now += self.stops.pop(0)

    def prepare(self, hand, fixture):
        self._stop()
        for group, wanted in enumerate((hand, fixture)):
            for place in np.flatnonzero(wanted[0] > 0):
                if not self.effort[group][0, place]:
                    self._write(group, place, engaging=True)
                    self._stop()
            self.effort[group] = wanted.copy()
        self._stop()
        return self._in_force(0), self._in_force(1)

    def _in_force(self, group):
        q = self.q[group]
        goal = Command(q.copy(), self.effort[group].copy())
        hold = self.hold if group == 0 else None
        return GoalsInForce(
            goal, self.now - self.sent_at[group], np.full(q.shape, np.inf), TICK, hold
        )

    def _write(self, group, place, engaging=False):
        ticks = round(float(self.q[group][0, place]) / TICK)
        self.wire.append((self.now, group, int(place), ticks, engaging))
        self.sent_at[group][0, place] = self.now

    def step(self, hand, fixture, period, robots=None):
        self._stop()
        self.delivered = not self.lost
        for group, command in enumerate((hand, fixture)):
            on = (command.effort > 0) & self.delivered
            self.q[group] = np.where(on, command.q, self.q[group])
            for place in np.flatnonzero(on[0]):
                self._write(group, place)
        self._stop()
        for group in self.sent_at:  # the driver notes the time once the goals are out
            on = self.sent_at[group] == self.wire[-1][0] if self.wire else False
            self.sent_at[group] = np.where(on, self.now, self.sent_at[group])
        return self.read()

    def read(self):
        states = [
            JointState(np.array([self.now]), q.copy(), np.zeros_like(q), np.zeros_like(q))
            for q in self.q.values()
        ]
        return Reading(*states)

    motor_status = StationStatus(GroupStatus.unknown(9), GroupStatus.unknown(1))

    def reset(self, robots=None, object_angle=0.0): ...
    def close(self): ...
    def activate(self): ...
    def deactivate(self): ...
    def reboot(self, joint): ...
    def calibrate(self, overwrite=False, force=False): ...


def check_speeds(wire, max_rate):
    """No goal moved faster than its joint's limit since the goal before it, to the wire's tick."""
    last = {}
    for now, group, place, ticks, engaging in wire:
        before = last.get((group, place))
        last[group, place] = now, ticks
        if before is None or engaging:
            continue
        moved = abs(ticks - before[1]) * TICK
        assert moved <= max_rate[group][place] * (now - before[0]) + 1e-9, (now, place)
        assert moved <= max_rate[group][place] * PERIOD + 1e-9, "one period at most"


STOPS = st.lists(st.sampled_from([0.0, 0.0002, 0.002, 0.009, 0.012, 0.05, 0.3, 3.0]), max_size=60)
ANGLES = st.floats(-9.0, 9.0)


@given(
    start=ANGLES,
    stops=STOPS,
    steps=st.lists(st.tuples(ANGLES, st.sampled_from([0.0, 1.0, np.inf, np.nan]), st.booleans()),
                   min_size=2, max_size=25),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_however_the_driver_is_stopped_no_goal_moves_faster_than_its_joint(start, stops, steps):
    motors = Motors(np.full((1, HAND.n), start))
    assert isinstance(motors, Hardware)
    guard = ClampedBackend(HAND, VALVE, motors)
    motors.stops = list(stops)
    for target, effort, held in steps:
        motors.hold = motors.q[0] * 0.5 if held else None
        command = Command(np.full((1, HAND.n), target), np.full((1, HAND.n), effort))
        fixture = Command(np.array([[target]]), np.array([[effort]]))
        guard.step(command, fixture, PERIOD)
        motors.now += 0.0 if motors.stops else PERIOD
    check_speeds(motors.wire, (HAND.max_rate, [VALVE.max_rate]))


@given(start=ANGLES, target=ANGLES)
@settings(max_examples=100, deadline=None)
def test_a_joint_outside_of_its_range_comes_back_at_its_rate_and_never_goes_further(start, target):
    motors = Motors(np.full((1, HAND.n), start))
    guard = ClampedBackend(HAND, VALVE, motors)
    outside = np.maximum(start - HAND.upper, HAND.lower - start)
    for _ in range(5):
        guard.step(Command(np.full((1, HAND.n), target), np.ones((1, HAND.n))), None, PERIOD)
        motors.now += PERIOD
        after = np.maximum(motors.q[0][0] - HAND.upper, HAND.lower - motors.q[0][0])
        assert (after <= np.maximum(outside, 0.0) + 1e-9).all()
        outside = after
    check_speeds(motors.wire, (HAND.max_rate, [VALVE.max_rate]))


def test_a_joint_that_is_told_to_stay_outside_of_its_range_stays():
    motors = Motors(np.full((1, HAND.n), 1.7))
    guard = ClampedBackend(HAND, VALVE, motors)
    for _ in range(5):
        guard.step(Command(np.full((1, HAND.n), 1.7), np.ones((1, HAND.n))), None, PERIOD)
        motors.now += PERIOD
    np.testing.assert_array_equal(motors.q[0], 1.7)


def test_where_nothing_went_out_nothing_is_recorded():
    motors = Motors(np.zeros((1, HAND.n)))
    guard = ClampedBackend(HAND, VALVE, motors)
    command = Command(np.full((1, HAND.n), 0.1), np.ones((1, HAND.n)))
    guard.step(command, None, PERIOD)
    assert guard.sent[0].effort.all()
    motors.lost = True
    guard.step(command, None, PERIOD)
    assert not guard.sent[0].effort.any()
