"""Layout of servos: groups, joints and shapes of commands."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.objects.fixture import BARE, FIXTURES
from handlab_core.types import Command

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32, 50)
PULL = Command(np.array([[0.5]]), np.array([[1.0]]))


def test_a_station_file_for_something_else_is_refused(make_rig):
    rig = make_rig()
    rig.file = replace(rig.file, hand="allegro")
    with pytest.raises(BadConfig, match="allegro"):
        rig.open()
    rig.file = replace(rig.file, hand="claw", dynamixel=None)
    with pytest.raises(BadConfig, match="no section"):
        rig.open()


@pytest.mark.parametrize("only", ["hand", "fixture"])
def test_a_group_without_servos_reads_nothing_and_its_stamp_stands(make_rig, only):
    rig = make_rig()
    section = rig.file.dynamixel
    kept = tuple(s for s in section.servos if (s.joint == "valve") == (only == "fixture"))
    rig.file = replace(rig.file, dynamixel=replace(section, servos=kept))
    station = rig.open()
    station.activate()
    before, after = station.read(), rig.step(fixture=PULL, cycles=2)
    other = "fixture" if only == "hand" else "hand"
    assert getattr(after, only).stamp > getattr(before, only).stamp
    assert np.isfinite(getattr(after, only).q).all()
    assert getattr(after, other).stamp == getattr(before, other).stamp
    assert np.isnan(getattr(after, other).q).all()
    assert getattr(after, other).q.shape == ((1, 1) if only == "hand" else (1, 9))
    assert np.isnan(getattr(station.motor_status, other).temperature).all()


def test_wrong_commands_raise(live):
    with pytest.raises(ValueError, match="shape"):
        live.station.step(Command(np.zeros((1, 8)), np.ones((1, 8))), None, 0.01)
    with pytest.raises(ValueError, match="finite"):
        live.station.step(Command(np.full((1, 9), np.nan), np.ones((1, 9))), None, 0.01)
    live.station.step(Command(np.full((1, 9), np.nan), np.zeros((1, 9))), None, 0.01)


def test_a_hand_without_a_fixture_is_a_station_whose_object_rests_at_zero(make_rig):
    rig = make_rig(ids=IDS[:-1])
    servos = tuple(s for s in rig.file.dynamixel.servos if s.joint != "valve")
    section = replace(rig.file.dynamixel, servos=servos)
    rig.file, rig.fixture = replace(rig.file, fixture=BARE, dynamixel=section), FIXTURES.make(BARE)
    station = rig.open()
    station.activate()
    before, after = station.read(), rig.step(cycles=2)
    assert after.fixture.q[0, 0] == after.fixture.qd[0, 0] == 0.0
    assert after.fixture.stamp == after.hand.stamp > before.fixture.stamp
    assert not station.motor_status.problems
