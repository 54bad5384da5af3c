"""Forces at fingertips of hand-written fingers; `handlab` compares them with MuJoCo's contacts."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.hands.fingertip_force import (
    GRAVITY,
    LEAST,
    FingertipForce,
    FingertipForces,
    dry_friction,
)
from handlab_core.hands.hand import Hand
from handlab_core.hands.kinematics import KinematicTree, Pose
from handlab_core.hands.servo import COULOMB, make_servos

MASS = 0.2  # kg


def joint(name, kind, parent, child, xyz, axis):
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}"/><axis xyz="{axis}"/></joint>'
    )


def link(name, mass=0.0):
    inertial = (
        f'<inertial><origin xyz="0 0 -0.05"/><mass value="{mass}"/></inertial>' if mass else ""
    )
    return f'<link name="{name}">{inertial}</link>'


def arm(finger, x):
    """Return a finger of three joints that hangs down, and turns about x, y and x."""
    names = [f"{finger}{i}" for i in range(3)]
    return "".join(
        [
            *(link(f"l_{name}", MASS) for name in names),
            link(f"{finger}_tip"),
            joint(names[0], "revolute", "world", f"l_{names[0]}", f"{x} 0 0.4", "1 0 0"),
            joint(names[1], "revolute", f"l_{names[0]}", f"l_{names[1]}", "0 0 -0.05", "0 1 0"),
            joint(names[2], "revolute", f"l_{names[1]}", f"l_{names[2]}", "0 0 -0.1", "1 0 0"),
            joint(f"{finger}_end", "fixed", f"l_{names[2]}", f"{finger}_tip", "0 0 -0.1", "0 0 1"),
        ]
    )


NAMES = tuple(f"{finger}{i}" for finger in "ab" for i in range(3))
TREE = KinematicTree(f'<robot name="r"><link name="world"/>{arm("a", 0)}{arm("b", 0.1)}</robot>')
POSE = {"a0": 0.3, "a1": -0.4, "a2": 0.7, "b0": -0.2, "b1": 0.5, "b2": -0.8}


def make(names=NAMES, tips=("a_tip", "b_tip"), **changed):
    n = len(names)
    return Hand(
        name="two", urdf="", joints=names, lower=np.full(n, -2.0), upper=np.full(n, 2.0),
        nominal=np.zeros(n), max_rate=np.ones(n), max_effort=np.ones(n),
        servos=replace(make_servos("robel", n), **changed), fingertips=tips, release=(),
        disentangle=(),
    )  # fmt: skip


def work(tip_forces):
    """Return the torques that hold tips which push and the links' weight, by virtual work."""
    torques = []
    for name in NAMES:
        ends = []
        for step in (1e-6, -1e-6):
            pose = POSE | {name: POSE[name] + step}
            heights = [
                TREE.link_pose(mass.link, pose).then(Pose(mass.centre)).position[2] * mass.mass
                for mass in TREE.masses
            ]
            tips = [TREE.link_pose(f"{finger}_tip", pose).position for finger in "ab"]
            ends.append(np.vdot(tip_forces, tips) + GRAVITY * sum(heights))
        torques.append((ends[0] - ends[1]) / 2e-6)
    return np.array(torques)


def test_the_estimate_is_the_force_that_does_the_work_of_the_joints():
    exerted = np.array([[1.0, -2.0, 0.5], [0.3, 0.0, -4.0]])
    found = FingertipForces(TREE, make()).estimate(
        POSE, np.zeros(6), work(exerted), np.full(6, 0.01)
    )
    np.testing.assert_allclose([force.force for force in found], exerted, atol=1e-6)
    assert [force.number for force in found] == [0, 1]
    assert found[1].pose.position == pytest.approx(TREE.link_pose("b_tip", POSE).position)


def test_viscous_friction_of_a_moving_joint_is_no_force():
    hand, speeds = make(viscous=np.full(6, 0.1)), np.array([1.0, -0.5, 0.2, 0.0, 0.3, 0.0])
    still = FingertipForces(TREE, hand).estimate(POSE, np.zeros(6), work(np.ones((2, 3))), 0.0)
    moving = FingertipForces(TREE, hand).estimate(
        POSE, speeds, work(np.ones((2, 3))) + 0.1 * speeds, 0.0
    )
    np.testing.assert_allclose([f.force for f in moving], [f.force for f in still], atol=1e-9)


def test_a_finger_with_an_unknown_effort_has_no_force_and_the_other_keeps_its_own():
    efforts = work(np.ones((2, 3)))
    efforts[4] = np.nan
    (found,) = FingertipForces(TREE, make()).estimate(POSE, np.zeros(6), efforts, np.zeros(6))
    assert found.number == 0
    np.testing.assert_allclose(found.force, (1.0, 1.0, 1.0), atol=1e-6)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_dry_friction_of_one_joint_moves_the_estimate_by_at_most_its_margin(sign):
    forces, friction = FingertipForces(TREE, make()), np.full(6, 0.02)
    true, margins = work(np.ones((2, 3))), []
    for number in range(3):
        stuck = true + sign * friction * (np.arange(6) == number)
        found = forces.estimate(POSE, np.zeros(6), stuck, friction)[0]
        assert 0.0 < np.linalg.norm(np.subtract(found.force, 1.0)) <= found.margin
        margins.append(found.margin)
    doubled = forces.estimate(POSE, np.zeros(6), true, 2 * friction)[0]
    assert doubled.margin == pytest.approx(2 * margins[0])


def test_a_force_is_shown_above_its_margin():
    shown = [FingertipForce(0, Pose(), (0.0, 3.0, 4.0), m).shown for m in (0.0, 4.9, 5.1)]
    assert shown == [True, True, False]
    assert not FingertipForce(0, Pose(), (0.5 * LEAST, 0.0, 0.0), 0.0).shown


def test_a_simulated_hand_has_the_friction_of_its_description_and_a_real_one_has_more():
    hand = make(coulomb=np.array([0.0, 0.0, 0.0, 0.5, 0.5, 0.5]))
    np.testing.assert_array_equal(dry_friction(hand, True), hand.servos.coulomb)
    np.testing.assert_allclose(dry_friction(hand, False), [COULOMB] * 3 + [0.5] * 3)


def test_a_finger_that_slides_pushes_with_the_efforts_of_its_motors():
    """A gantry of three axes, with the weight of its last link."""
    axes = zip("xyz", ("world", "l_x", "l_y"), ("1 0 0", "0 1 0", "0 0 1"), strict=True)
    slides = "".join(joint(n, "prismatic", at, f"l_{n}", "0 0 0", axis) for n, at, axis in axes)
    links = link("world") + link("l_x") + link("l_y") + link("l_z", MASS)
    tree = KinematicTree(f'<robot name="g">{links}{slides}</robot>')
    hand = make(names=("x", "y", "z"), tips=("l_z",))
    efforts = np.array([1.0, -2.0, 3.0])
    (found,) = FingertipForces(tree, hand).estimate({}, np.zeros(3), efforts, np.zeros(3))
    assert found.force == pytest.approx((1.0, -2.0, 3.0 - MASS * GRAVITY))


def test_a_soft_hand_has_no_efforts_and_gets_no_forces():
    hand = make_hand("soft")
    nothing = np.zeros(hand.n)
    bends = [joint(name, "revolute", "world", name, "0 0 0", "1 0 0") for name in hand.moving]
    links = "".join(link(name, MASS) for name in hand.moving)
    tree = KinematicTree(f'<robot name="s">{links}{"".join(bends)}</robot>')
    assert FingertipForces(tree, hand).estimate({}, nothing, nothing, nothing) == []
