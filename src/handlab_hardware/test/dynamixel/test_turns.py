"""The turn that a servo is on: after whatever restarts it, it is known, or the hand is limp."""

import time
from collections import Counter
from dataclasses import replace
from unittest.mock import create_autospec

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command
from handlab_hardware.dynamixel import backend as module
from handlab_hardware.dynamixel.backend import DynamixelBackend
from handlab_hardware.dynamixel.emulator import EmulatorConfig, make_bus
from handlab_hardware.dynamixel.emulator.physics import Motion
from handlab_hardware.dynamixel.failures import PacketLost, ServoRefused
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.bus import Answer, Identity
from handlab_hardware.dynamixel.protocol.registers import REGISTERS, TICKS_PER_TURN
from handlab_hardware.dynamixel.turns import FAR, TurnRange
from handlab_hardware.guardian import Guardian
from handlab_hardware.station_file import MODES, load_station, station_path

CLAW, VALVE = make_hand("claw"), FIXTURES.make("valve")
TURN = 2 * np.pi
PERIOD = 0.01  # s
ZEROS = st.floats(0.0, TURN)
STATION = load_station(station_path("claw"))


class DirectBus:
    """Emulated servos without a wire, in a time of the test's own; has the face of `ServoBus`."""

    def __init__(self, bus):
        self.bus, self.now = bus, 0.0
        self.notes, self.counts, self.fast, self.fast_works = (), Counter(retries=0), False, True

    def pass_time(self, seconds):
        self.now += seconds
        self.bus.loop.heard = self.now  # no test here is about the bus watchdog
        self.bus.advance(self.now)

    def servo(self, id):
        for servo in self.bus.servos:
            if servo.id == id and servo.hears(1_000_000, self.now) and self.bus.faults.alive(id):
                self.bus.loop.refresh()
                return servo
        raise PacketLost(f"servo {id} does not answer")

    def ping(self, id, retries=0):
        return Identity(self.servo(id).model.number, self.servo(id).firmware)

    def read(self, id, register):
        item = REGISTERS[register]
        return units.from_bytes(self.read_block(id, item.address, item.size).data, item)

    def read_block(self, id, address, size, retries=0):
        servo = self.servo(id)
        return Answer(servo.read(address, size).params, bool(servo.alert))

    def write(self, id, register, value, retries=0):
        item = REGISTERS[register]
        if self.servo(id).write(item.address, units.to_bytes(value, item)).error:
            raise ServoRefused(f"servo {id} would not")
        self.bus.loop.refresh()

    def sync_write(self, register, values):
        for id, value in values.items():
            try:
                self.write(id, register, value)
            except (PacketLost, ServoRefused):
                continue

    def read_all(self, ids, address, size):
        answers = {}
        for id in ids:
            try:
                answers[id] = self.read_block(id, address, size)
            except PacketLost:
                continue
        return answers

    def reboot(self, id):
        self.servo(id).reboot(self.now)

    def close(self): ...


class Horns:
    """Horns that go to their goals at a servo's speed, without inertia; implements `Physics`."""

    period, speed = PERIOD, 8.0  # s; rad/s

    def __init__(self, n):
        self.place(np.zeros(n))

    def place(self, position):
        still = np.zeros(len(position))
        self.motion = Motion(position.copy(), still, still, still)

    def read(self):
        return self.motion

    def advance(self, goals):
        now, reach = self.motion.position, self.speed * self.period
        way = np.clip(goals.position - now, -reach, reach)
        self.place(np.where(goals.max_torque > 0, now + way, now))
        return self.motion


class Rig:
    """A claw whose first joint or valve has a zero of its own; horns can be put anywhere."""

    def __init__(self, monkeypatch, joint, zero, q, mode="position", direction=1):
        servos = {servo.joint: servo for servo in STATION.dynamixel.servos}
        servos[joint] = replace(servos[joint], zero=zero, direction=direction)
        kept = [s for s in servos.values() if (s.joint == "valve") == (joint == "valve")]
        section = replace(STATION.dynamixel, servos=tuple(kept), mode=mode)
        ids = tuple(servo.id for servo in section.servos)
        bus = make_bus(EmulatorConfig(ids=ids), Horns(len(ids)))
        self.wire, self.section, self.joint = DirectBus(bus), section, joint
        self.place = ids.index(servos[joint].id)
        self.zero, self.direction = zero, direction
        bus.loop.physics.place(np.array([servo.zero for servo in section.servos]))
        self.turn_to(q)
        for servo in bus.servos:
            servo._boot(0.0)  # power-on with the horns where they are
            servo.ready_at = 0.0
        self.wire.pass_time(PERIOD)
        monkeypatch.setattr(module, "ServoBus", lambda *_: self.wire)
        guardian = create_autospec(Guardian, instance=True)  # no process for each example
        guardian.beat.return_value = False
        monkeypatch.setattr(module, "Guardian", lambda *_: guardian)
        file = replace(STATION, dynamixel=section)
        self.station = DynamixelBackend(CLAW, VALVE, file, lambda: 1000.0 + self.wire.now)
        self.guard = ClampedBackend(CLAW, VALVE, self.station)

    @property
    def servo(self):
        return self.wire.bus.servos[self.place]

    @property
    def truth(self):
        """Where the joint really is; rad, over whole turns."""
        horn = self.wire.bus.loop.physics.read().position[self.place]
        return self.direction * (horn - self.zero)

    @property
    def read(self):
        reading = self.station.read()
        return float((reading.fixture if self.joint == "valve" else reading.hand).q[0, 0])

    def turn_to(self, q):
        """Turn the joint by hand."""
        physics = self.wire.bus.loop.physics
        horns = physics.read().position.copy()
        horns[self.place] = self.zero + self.direction * q
        physics.place(horns)

    def step(self, cycles=1, q=None, valve=None, effort=3.0):
        target = np.zeros((1, 9)) if q is None else np.full((1, 9), q)
        fixture = None if valve is None else Command(np.array([[valve]]), np.array([[3.0]]))
        moved = []
        for _ in range(cycles):
            self.wire.pass_time(PERIOD)
            self.guard.step(Command(target, np.full((1, 9), effort)), fixture, PERIOD)
            moved.append(self.truth)
        return np.array(moved)

    def says(self):
        return " ".join(self.station.motor_status.problems)

    def limp(self):
        return not any(servo.torque for servo in self.wire.bus.servos)


@pytest.fixture
def make(request):
    """Build rigs within one test, hypothesis's examples included."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda *args, **options: Rig(patch, *args, **options)


lawful = settings(max_examples=15, deadline=None)


@pytest.mark.parametrize("mode", MODES)
def test_a_joint_is_known_wherever_its_zero_is_and_goes_home_the_short_way(mode):
    @given(zero=ZEROS, q=st.floats(-0.6, 0.6), direction=st.sampled_from((1, -1)))
    @lawful
    def law(zero, q, direction):
        with pytest.MonkeyPatch.context() as patch:
            rig = Rig(patch, "FFJ10", zero, q, mode, direction)
            assert rig.read == pytest.approx(q, abs=0.003)
            rig.station.activate()
            rig.wire.pass_time(0.2)
            assert rig.truth == pytest.approx(q, abs=0.03), "nothing moves on engage"
            way = rig.step(60)
            assert abs(way[-1]) < 0.03
            assert (np.abs(way) <= abs(q) + 0.1).all(), "the short way"

    law()


@pytest.mark.parametrize("mode", MODES)
def test_over_the_whole_circle_a_joint_is_on_the_nearest_turn_or_the_hand_is_limp(mode):
    @given(zero=ZEROS, q=st.floats(-np.pi, np.pi), direction=st.sampled_from((1, -1)))
    @lawful
    def law(zero, q, direction):
        with pytest.MonkeyPatch.context() as patch:
            rig = Rig(patch, "FFJ10", zero, q, mode, direction)
            try:
                rig.station.activate()
            except StationFault as error:
                assert "FFJ10" in str(error) and "by hand" in str(error)
                assert rig.limp() and abs(q) > 0.6
                rig.step(20)
                assert rig.limp() and rig.truth == pytest.approx(q, abs=0.01)
                return
            assert rig.read == pytest.approx(q, abs=0.003)
            way = rig.step(120)
            assert abs(way[-1]) < 0.03 and (np.abs(way) <= abs(q) + 0.1).all()

    law()


def test_a_joint_outside_every_turn_of_its_range_is_reported_and_engages_after_it_is_turned(make):
    rig = make("FFJ10", np.pi / 2, np.pi)
    before = rig.station.read().hand.stamp[0]
    with pytest.raises(StationFault, match=r"FFJ10.*by hand, or correct its zero"):
        rig.station.activate()
    rig.step()
    assert rig.station.read().hand.stamp[0] == before, "what is not known is not published"
    rig.turn_to(0.3)
    rig.step(2)
    rig.station.activate()
    assert not rig.limp() and not rig.says()
    assert rig.read == pytest.approx(0.3, abs=0.003)


@given(turns=st.floats(-0.99, 0.99), away=st.floats(-1.2, 1.2))
@lawful
def test_a_valve_that_restarts_beyond_half_a_turn_is_known_after_it(turns, away):
    with pytest.MonkeyPatch.context() as patch:
        rig = Rig(patch, "valve", np.pi, 0.0)
        rig.station.activate()
        rig.step(120, valve=TURN * turns)
        assert rig.read == pytest.approx(TURN * turns, abs=0.05)
        rig.station.reboot("valve")
        rig.turn_to(TURN * turns + away)
        rig.step(60)
        assert not rig.says(), rig.says()
        assert rig.read == pytest.approx(TURN * turns + away, abs=0.01)
        before = rig.truth
        way = rig.step(200, valve=0.0)
        assert abs(way[-1]) < 0.05 and (np.abs(way) <= abs(before) + 0.1).all()


def test_a_valve_that_was_turned_while_it_was_off_is_not_guessed(make):
    rig = make("valve", np.pi, 0.0)
    rig.station.activate()
    rig.step(150, valve=4.5)
    rig.station.reboot("valve")
    rig.turn_to(4.5 + 2.5)
    rig.step(100)
    assert "its turns are not known" in rig.says() and rig.limp()
    stamp = rig.station.read().fixture.stamp[0]
    rig.step(20)
    assert rig.station.read().fixture.stamp[0] == stamp and rig.limp()
    rig.station.deactivate()
    rig.station.activate()
    rig.step(5)
    assert not rig.says() and abs(rig.read) <= TURN


def test_a_valve_that_was_off_for_long_is_not_guessed(make):
    rig = make("valve", np.pi, 0.0)
    rig.station.activate()
    rig.step(150, valve=4.5)
    rig.station.reboot("valve")
    rig.servo.ready_at += 5.0
    rig.step(600)
    assert "its turns are not known" in rig.says() and rig.limp()


def test_a_restart_between_two_cycles_is_seen_before_anything_is_published(make):
    """The driver was stopped meanwhile: no cycle missed an answer."""
    rig = make("valve", np.pi, 0.0)
    rig.station.activate()
    rig.step(150, valve=4.5)
    rig.step(2)
    rig.servo.reboot(rig.wire.now)
    rig.wire.pass_time(0.3)
    for _ in range(10):
        rig.step()
        assert rig.read == pytest.approx(4.5, abs=0.1)


@pytest.mark.parametrize("joint", ["FFJ10", "valve"])
def test_after_a_brown_out_positions_are_as_before(make, joint):
    rig = make(joint, 0.1 if joint == "FFJ10" else np.pi, 0.0)
    rig.station.activate()
    rig.step(200, q=-0.4, valve=-5.0)
    before = rig.read
    for servo in rig.wire.bus.servos:
        servo.reboot(rig.wire.now)
    rig.step(100, q=-0.4)
    assert not rig.says()
    assert rig.read == pytest.approx(before, abs=0.02)
    way = rig.step(200, q=0.0, valve=0.0)
    assert abs(way[-1]) < 0.05 and (np.abs(way) <= abs(before) + 0.1).all()


@given(lower=st.integers(-9000, 9000), width=st.integers(0, 9000), ticks=st.integers(-20000, 20000))
def test_no_other_turn_is_nearer_to_the_range(lower, width, ticks):
    turns = TurnRange(lower, lower + width)
    chosen = turns.nearest(ticks)
    assert chosen % TICKS_PER_TURN == 0
    others = (turns.beyond(ticks + TICKS_PER_TURN * k) for k in range(-12, 13))
    assert turns.beyond(ticks + chosen) == min(others)


@given(width=st.integers(0, TICKS_PER_TURN - 1), ticks=st.integers(-9000, 9000))
def test_where_a_position_fits_no_other_turn_does(width, ticks):
    turns = TurnRange(0, width)
    assume(turns.fits(ticks))
    assert turns.margin <= FAR
    assert not turns.fits(ticks + TICKS_PER_TURN) and not turns.fits(ticks - TICKS_PER_TURN)


def test_on_the_wire_a_zero_near_the_seam_is_where_it_is(make_rig):
    """A joint at -28 degrees, whose servo reads 332 after power-on."""
    rig = make_rig()
    section = rig.file.dynamixel
    servos = (replace(section.servos[0], zero=0.0), *section.servos[1:])
    rig.file = replace(rig.file, dynamixel=replace(section, servos=servos))
    horns = np.array([servo.zero for servo in servos])
    horns[0] = np.radians(332.0)
    rig.port.bus.loop.physics.place(horns)
    rig.servo(10).rebase = True
    rig.open().activate()
    assert np.degrees(rig.station.read().hand.q[0, 0]) == pytest.approx(-28.0, abs=0.2)
    rig.until(lambda: abs(rig.station.read().hand.q[0, 0]) < 0.01)
    horn = rig.port.bus.loop.motion.position[0]
    assert horn == pytest.approx(TURN, abs=0.02), "28 degrees on, and not 332 back"


def test_on_the_wire_a_valve_beyond_half_a_turn_keeps_its_turn_through_a_reboot(live):
    turn = Command(np.array([[4.0]]), np.array([[3.0]]))
    live.until(lambda: live.station.read().fixture.q[0, 0] > 3.95, fixture=turn)
    live.station.reboot("valve")
    deadline = time.monotonic() + 60
    while live.station.motor_status.problems and time.monotonic() < deadline:
        live.step()
        time.sleep(0.005)
    live.step(cycles=2)
    assert live.station.read().fixture.q[0, 0] == pytest.approx(4.0, abs=0.1)


def test_on_the_wire_a_valve_that_restarts_while_the_adapter_is_away_keeps_its_turn(live):
    turn = Command(np.array([[4.0]]), np.array([[3.0]]))
    live.until(lambda: live.station.read().fixture.q[0, 0] > 3.95, fixture=turn)
    live.fault("unplug", seconds=0.3)
    live.until(lambda: live.station.motor_status.problems)
    live.servo(50).reboot(live.port.bus.loop.time)
    deadline = time.monotonic() + 60
    while live.station.motor_status.problems and time.monotonic() < deadline:
        time.sleep(0.1)
        live.station._next_open = live.clock.now  # whenever a busy machine gets round to it
        live.step()
    live.step(cycles=5)
    assert not live.station.motor_status.problems
    assert (
        live.station.motor_status.counts["servos_restarted"]
        + live.station.motor_status.counts["turns_found"]
    )
    assert live.station.read().fixture.q[0, 0] == pytest.approx(4.0, abs=0.1)
