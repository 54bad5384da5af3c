"""The simulated station is the one the URDF describes, with every contact the real one has."""

import io
import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np
import pytest
import yourdfpy

from handlab_core.fixtures import FIXTURES
from handlab_core.tasks import TASKS
from handlab_sim.scene import SceneConfig, build_spec
from handlab_sim.urdf import station_urdf

STATIONS = sorted({(build().hand_name, build().fixture_name) for build in TASKS.values()})


@pytest.fixture(params=STATIONS, ids="-".join)
def station(request):
    task = next(
        t for t in (b() for b in TASKS.values()) if (t.hand_name, t.fixture_name) == request.param
    )
    return task.hand, task.fixture


@pytest.fixture
def model(station):
    return build_spec(*station, SceneConfig()).compile()


def urdf(station):
    text = ElementTree.tostring(station_urdf(*station))
    return yourdfpy.URDF.load(io.BytesIO(text), load_meshes=False, build_scene_graph=True)


def test_mujoco_and_urdf_agree_where_the_fingertips_are(station, model):
    """200 random poses, a second library's forward kinematics, 1e-6 m."""
    hand, fixture = station
    robot, data, rng = urdf(station), mujoco.MjData(model), np.random.default_rng(0)
    names = [*hand.joints, fixture.joint]
    ranges = np.array([model.joint(name).range for name in names])
    worst = 0.0
    for _ in range(200):
        q = rng.uniform(ranges[:, 0], ranges[:, 1])
        data.qpos[[model.joint(name).qposadr[0] for name in names]] = q
        mujoco.mj_kinematics(model, data)
        robot.update_cfg(dict(zip(names, q, strict=True)))
        for tip in hand.fingertips:
            expected = robot.get_transform(tip, "world")[:3, 3]
            worst = max(worst, np.abs(data.site(tip).xpos - expected).max())
    assert worst < 1e-6


def test_joints_are_the_hands_and_the_objects(station, model):
    hand, fixture = station
    names = {model.joint(i).name for i in range(model.njnt)}
    assert names == {*hand.joints, fixture.joint}
    assert [model.actuator(i).name for i in range(model.nu)] == [*hand.joints, fixture.joint]
    assert {link for link in urdf(station).link_map} >= set(hand.fingertips)


def test_everything_has_a_name(model):
    for kind, count in (("body", model.nbody), ("joint", model.njnt), ("geom", model.ngeom)):
        assert all(getattr(model, kind)(i).name for i in range(count)), kind


def test_commanded_poses_are_within_the_joints_own_range(station, model):
    hand, _ = station
    for name, lower, upper in zip(hand.joints, hand.lower, hand.upper, strict=True):
        assert upper <= model.joint(name).range[1] + 1e-9
        # The top joints may be told a hair more than they can: ROBEL's own figures.
        assert lower >= model.joint(name).range[0] - 0.031


def finger(name):
    return name.split("_")[0]


def can_touch(model, one, other):
    """Whether MuJoCo looks for contacts between two named geoms."""
    a, b = (model.geom(name) for name in (one, other))
    if not (a.contype & b.conaffinity or b.contype & a.conaffinity).item():
        return False
    bodies = a.bodyid.item(), b.bodyid.item()
    signature = {(min(bodies) << 16) + max(bodies), (max(bodies) << 16) + min(bodies)}
    return not signature & set(model.exclude_signature.tolist())


def test_every_contact_the_claw_has_is_looked_for(station, model):
    """Finger with finger, with base, with object, with table."""
    hand, _ = station
    if hand.name != "claw":
        pytest.skip("the claw's contacts")
    geoms = [model.geom(i).name for i in range(model.ngeom)]
    moving = [g for g in geoms if finger(g) in ("first", "middle", "thumb") and "base" not in g]
    assert len(moving) == 12
    others = [
        "table",
        "claw_base_disc",
        "hub",
        "lobe_0_capsule",
        "lobe_1_capsule",
        "lobe_2_capsule",
    ]
    for one in moving:
        own = finger(one)
        for other in others + [g for g in moving if finger(g) != own]:
            assert can_touch(model, one, other), (one, other)
        for base in ("first_base_servo", "middle_base_servo", "thumb_base_servo"):
            # Only the link that turns in a base servo's own bearing does not collide with it.
            own_bearing = one == f"{own}_proximal_servo" and finger(base) == own
            assert can_touch(model, one, base) != own_bearing, (one, base)


def test_fingers_do_collide(station):
    """Two fingers told to meet in the middle are stopped by each other, not by their targets."""
    from handlab_core.types import Command
    from handlab_sim.worlds import Worlds

    hand, fixture = station
    if hand.name != "claw":
        pytest.skip("the claw's contacts")
    worlds = Worlds(hand, fixture)
    data = worlds.batch.bind("ncon")
    target = np.tile([0.0, np.pi / 3, np.pi / 2], 3)[None]
    touched = False
    for _ in range(30):
        worlds.step(Command(target, np.full((1, 9), np.inf)), None, 0.1)
        touched |= bool(data[0] > 0)
    assert touched
    assert np.abs(worlds.read().hand.q - target).max() > 0.1


def test_visuals_change_nothing_but_the_looks(station):
    plain = build_spec(*station, SceneConfig()).compile()
    pretty = build_spec(*station, SceneConfig(visuals=True)).compile()
    assert pretty.ngeom > plain.ngeom
    data = [mujoco.MjData(m) for m in (plain, pretty)]
    for m, d in zip((plain, pretty), data, strict=True):
        d.ctrl[:] = 0.3
        mujoco.mj_step(m, d, 50)
    np.testing.assert_allclose(data[0].qpos, data[1].qpos, atol=1e-9)


@pytest.mark.parametrize("lobes", [2, 4])
def test_a_valve_can_have_other_lobes(lobes):
    from dataclasses import replace

    valve = replace(FIXTURES.make("valve"), arguments={"lobes": str(lobes)})
    from handlab_core.hands import make_hand

    model = build_spec(make_hand("claw"), valve, SceneConfig()).compile()
    assert sum(model.geom(i).name.startswith("lobe") for i in range(model.ngeom)) == lobes
