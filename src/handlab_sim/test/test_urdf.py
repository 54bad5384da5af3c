"""Expansion of xacro files."""

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_sim.urdf import station_urdf, urdf_string


def test_a_station_has_all_joints_of_hand_and_fixture_and_each_name_once():
    hand, fixture = make_hand("claw"), FIXTURES.make("valve")
    robot = station_urdf(hand, fixture)
    names = [(part.tag, part.get("name")) for part in robot]
    assert len(set(names)) == len(names) and ("link", "world") in names
    joints = {name for tag, name in names if tag == "joint"}
    assert {*hand.joints, fixture.joint} <= joints
    assert robot.get("name") == "claw_valve"


def test_arguments_change_the_expansion_and_equal_ones_do_not():
    urdf = FIXTURES.make("valve").urdf
    plain, four = urdf_string(urdf), urdf_string(urdf, {"lobes": "4"})
    assert plain != four and urdf_string(urdf, {"lobes": "4"}) == four
