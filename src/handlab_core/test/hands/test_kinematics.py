"""Forward kinematics of hand-written URDFs; `handlab_sim` compares it with MuJoCo."""

import math

import pytest

from handlab_core.errors import BadConfig
from handlab_core.estimation.quaternions import about
from handlab_core.hands.kinematics import KinematicTree, Mass, Pose

ARM = """<robot name="arm">
<link name="world"/><link name="base"/><link name="upper"/><link name="slider"/>
<joint name="mount" type="fixed">
  <parent link="world"/><child link="base"/><origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/>
</joint>
<joint name="turn" type="revolute">
  <parent link="base"/><child link="upper"/><origin xyz="1 0 0"/><axis xyz="0 0 2"/>
</joint>
<joint name="slide" type="prismatic">
  <parent link="upper"/><child link="slider"/><axis xyz="0 1 0"/>
</joint>
</robot>"""

HEAVY = """<link name="upper">
  <inertial><origin xyz="0 0 0.1"/><mass value="0.3"/></inertial>
</link>"""


def test_a_link_is_where_the_joints_above_it_bring_it():
    """By hand: the base looks along y, so its x is the world's y."""
    tree = KinematicTree(ARM)
    assert tree.link_pose("world", {}) == Pose()
    pose = tree.link_pose("slider", {"turn": math.pi / 2, "slide": 0.25})
    assert pose.position == pytest.approx((0.0, 0.75, 1.0))  # 1 ahead, then 0.25 back
    assert pose.orientation == pytest.approx(about((0, 0, 1), math.pi))


def test_the_poses_of_all_links_are_those_of_each_and_masses_are_read():
    """Links are in any order in a file."""
    positions = {"turn": 0.4, "slide": 0.25}
    parts = ARM.split("</joint>")
    backward = f"{parts[0][: parts[0].index('<joint')]}" + "".join(
        part[part.index("<joint") :] + "</joint>" for part in reversed(parts[:-1])
    )
    for text in (ARM, backward + "</robot>"):
        tree = KinematicTree(text.replace('<link name="upper"/>', HEAVY))
        poses = tree.poses(positions)
        assert poses.keys() == {"base", "upper", "slider"}
        for link, pose in poses.items():
            expected = tree.link_pose(link, positions)
            assert pose.position == pytest.approx(expected.position)
            assert pose.orientation == pytest.approx(expected.orientation)
        assert tree.masses == (Mass("upper", 0.3, (0.0, 0.0, 0.1)),)
        assert [joint.name for joint in tree.chain("slider")] == ["mount", "turn", "slide"]


def test_joints_that_are_not_named_are_at_zero():
    tree = KinematicTree(ARM)
    assert tree.link_pose("slider", {}).position == pytest.approx((0.0, 1.0, 1.0))
    assert [joint.name for joint in tree.fixed] == ["mount"]


def test_angles_of_an_origin_are_about_fixed_axes():
    """Roll, then pitch: x goes to x by the roll, and then down by the pitch."""
    origin = f'<origin rpy="{math.pi / 2} {math.pi / 2} 0"/>'
    joint = f'<joint name="j" type="fixed"><parent link="a"/><child link="b"/>{origin}</joint>'
    (joint,) = KinematicTree(f'<robot name="r">{joint}</robot>').fixed
    x_of_child = joint.pose().then(Pose((1.0, 0.0, 0.0))).position
    y_of_child = joint.pose().then(Pose((0.0, 1.0, 0.0))).position
    assert x_of_child == pytest.approx((0.0, 0.0, -1.0))
    assert y_of_child == pytest.approx((1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no URDF"),
        ("<robot", "is no URDF"),
        (ARM.replace("prismatic", "floating"), "joint slide is floating"),
        (ARM.replace("0 0 2", "0 0 0"), "axis without length"),
        (ARM.replace("0 0 2", "0 0"), "is no URDF"),
        (ARM.replace('<parent link="world"/>', ""), "joint mount has no parent"),
        (ARM.replace('name="turn"', ""), "is no URDF"),
    ],
)
def test_a_description_that_cannot_be_is_refused_in_one_line(text, words):
    with pytest.raises(BadConfig) as refusal:
        KinematicTree(text)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
