"""Expansion of xacro files, and the files of their meshes."""

import io
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import yourdfpy

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.hands.hand import Hand
from handlab_core.hands.servo import make_servos
from handlab_core.objects.fixture import FIXTURES
from handlab_sim.scene import SceneConfig, build_spec
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


SIZES = np.array([0.02, 0.03, 0.06])
"""m; of the box that the meshes below show."""

FACES = [
    (0, 2, 1), (1, 2, 3), (4, 5, 6), (5, 7, 6), (0, 1, 4), (1, 5, 4),
    (2, 6, 3), (3, 6, 7), (0, 4, 2), (2, 4, 6), (1, 3, 5), (3, 7, 5),
]  # fmt: skip


def corners():
    return np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])


def write_stl(path):
    """Write the box as a binary STL."""
    points = corners() * SIZES
    facets = b"".join(
        struct.pack("<12fH", 0, 0, 0, *points[list(face)].ravel(), 0) for face in FACES
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(80) + struct.pack("<I", len(FACES)) + facets)


def write_obj(path):
    lines = [f"v {x} {y} {z}" for x, y, z in corners() * SIZES]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in FACES]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


LINK = """<link name="{name}">
  <inertial><mass value="0.1"/>
    <inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial>
  <visual><geometry><mesh filename="{mesh}"/></geometry></visual>
  <collision><geometry><mesh filename="{mesh}"/></geometry></collision>
</link>"""

DESCRIPTION = """<robot name="stick">
<link name="world"/>
<joint name="mount" type="fixed"><parent link="world"/><child link="palm"/>
  <origin xyz="0 0 0.5"/></joint>
{palm}
<joint name="bend" type="revolute"><parent link="palm"/><child link="tip"/>
  <origin xyz="0 0 0.1"/><axis xyz="0 1 0"/>
  <limit lower="-1" upper="1" effort="1" velocity="5"/></joint>
{tip}
</robot>"""


def stick(folder, mesh, meshes=""):
    """Return a hand of one joint, described by a plain URDF outside of the repository."""
    links = {name: LINK.format(name=name, mesh=mesh) for name in ("palm", "tip")}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stick.urdf"
    path.write_text(DESCRIPTION.format(**links))
    one = np.ones(1)
    return Hand(
        name="stick", urdf=str(path), joints=("bend",), lower=-one, upper=one, nominal=0 * one,
        max_rate=one, max_effort=one, servos=make_servos("robel", len(one)),
        fingertips=("tip",), release=("bend",), disentangle=(), meshes=meshes,
    )  # fmt: skip


BARE = FIXTURES.make("bare")


@pytest.mark.parametrize(
    ("mesh", "place"),
    [
        ("meshes/box.stl", "robot/meshes/box.stl"),
        ("package://stick_description/meshes/box.stl", "stick_description/meshes/box.stl"),
        ("package://robot/box.stl", "robot/box.stl"),
        ("box.obj", "elsewhere/box.obj"),
        ("package:///box.stl", "elsewhere/box.stl"),
    ],
)
def test_meshes_collide_and_are_seen_wherever_a_description_has_them(tmp_path, mesh, place):
    write = write_obj if place.endswith("obj") else write_stl
    write(tmp_path / place)
    hand = stick(tmp_path / "robot", mesh, str(tmp_path / "elsewhere"))
    seen = build_spec(hand, BARE, SceneConfig(visuals=True)).compile()
    model = build_spec(hand, BARE, SceneConfig()).compile()
    meshes = [g for g in range(model.ngeom) if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH]
    assert len(meshes) == 2 and seen.ngeom > model.ngeom
    assert model.geom_contype[meshes].all()
    for geom in meshes:  # half sizes of the box of equal inertia, in any order
        assert sorted(model.geom_aabb[geom][3:]) == pytest.approx(sorted(SIZES / 2), abs=1e-6)
    text = ElementTree.tostring(station_urdf(hand, BARE))
    assert yourdfpy.URDF.load(io.BytesIO(text)).scene.extents is not None


def test_an_absolute_uri_is_a_path(tmp_path):
    write_stl(tmp_path / "my meshes" / "box.stl")
    hand = stick(tmp_path, f"file://{tmp_path}/my meshes/box.stl")
    assert build_spec(hand, BARE, SceneConfig()).compile().nmesh == 1


def test_a_package_that_ros_has_installed_is_found(tmp_path, monkeypatch):
    write_stl(tmp_path / "prefix" / "share" / "stick_description" / "box.stl")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'prefix'}")
    hand = stick(tmp_path / "robot", "package://stick_description/box.stl")
    assert build_spec(hand, BARE, SceneConfig()).compile().nmesh == 1


@pytest.mark.parametrize(
    ("mesh", "complaint"),
    [
        (
            "gone.stl",
            r"there is no mesh gone.stl in .*robot; name its folder in the hand's `meshes`",
        ),
        ("package://other/gone.stl", "there is no mesh package://other/gone.stl"),
        ("box.dae", r"box.dae is no .obj or .stl file; convert the mesh"),
        ("", "there is no mesh"),
    ],
)
def test_a_mesh_that_cannot_be_used_is_named(tmp_path, mesh, complaint):
    (tmp_path / "robot").mkdir()
    (tmp_path / "robot" / "box.dae").touch()
    with pytest.raises(BadConfig, match=complaint):
        station_urdf(stick(tmp_path / "robot", mesh), BARE)


def test_hands_of_primitives_are_described_as_before():
    """The search for meshes leaves no mark on them."""
    hand = make_hand("claw")
    plain = ElementTree.fromstring(urdf_string(hand.urdf))
    robot = station_urdf(replace(hand, meshes="/nowhere"), BARE)
    for link in plain.findall("link"):
        [same] = [other for other in robot.findall("link") if other.get("name") == link.get("name")]
        assert ElementTree.tostring(same) == ElementTree.tostring(link)
