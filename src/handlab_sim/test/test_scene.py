"""The simulated station is the one the URDF describes, with every contact the real one has."""

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fnmatch import fnmatch, fnmatchcase
from itertools import product

import mujoco
import numpy as np
import pytest
import yourdfpy

from handlab_core.errors import BadConfig
from handlab_core.hands import HANDS, make_hand
from handlab_core.hands.kinematics import FIXED, KinematicTree
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import Command
from handlab_sim.backend import MujocoBackend
from handlab_sim.scene import SceneConfig, build_spec
from handlab_sim.urdf import station_urdf


@pytest.fixture(params=product(sorted(HANDS), sorted(FIXTURES)), ids="-".join)
def station(request):
    hand, fixture = request.param
    return make_hand(hand), FIXTURES.make(fixture)


@pytest.fixture
def claw():
    return make_hand("claw"), FIXTURES.make("valve")


@pytest.fixture
def allegro():
    return make_hand("allegro"), FIXTURES.make("valve")


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
    names = [*hand.moving, fixture.joint]
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


def test_frames_on_tf_are_the_poses_of_mujocos_bodies(station, model):
    """20 random poses of all joints, lobes of foam too; position and orientation, 1e-9."""
    tree = KinematicTree(ElementTree.tostring(station_urdf(*station), encoding="unicode"))
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    names = [model.joint(i).name for i in range(model.njnt)]
    ranges = np.array([model.joint(name).range for name in names])
    bodies = [model.body(i).name for i in range(1, model.nbody)]
    assert {joint.child for joint in tree.joints.values() if joint.kind != FIXED} <= set(bodies)
    for _ in range(20):
        q = rng.uniform(ranges[:, 0], ranges[:, 1])
        data.qpos[[model.joint(name).qposadr[0] for name in names]] = q
        mujoco.mj_kinematics(model, data)
        positions = dict(zip(names, q.tolist(), strict=True))
        for body in bodies:
            pose = tree.link_pose(body, positions)
            np.testing.assert_allclose(pose.position, data.body(body).xpos, atol=1e-9)
            same = abs(np.dot(pose.orientation, data.body(body).xquat))
            assert same == pytest.approx(1.0, abs=1e-12), body


def test_joints_are_the_hands_and_the_objects(station, model):
    hand, fixture = station
    names = {model.joint(i).name for i in range(model.njnt)}
    springs = () if fixture.softness is None else tuple(fixture.softness.springs)
    passive = {n for n in names if any(fnmatch(n, pattern) for pattern in springs)}
    assert names - passive == {*hand.moving, fixture.joint}
    assert [model.actuator(i).name for i in range(model.nu)] == [*hand.joints, fixture.joint]
    assert {link for link in urdf(station).link_map} >= set(hand.fingertips)


def test_everything_has_a_name(model):
    for kind, count in (("body", model.nbody), ("joint", model.njnt), ("geom", model.ngeom)):
        assert all(getattr(model, kind)(i).name for i in range(count)), kind


def test_the_urdf_and_the_hand_agree_how_hard_a_joint_may_push(station, model):
    hand, _ = station
    if hand.pneumatics is not None:
        pytest.skip("air pushes; see test_pneumatics")
    limits = [model.jnt_actfrcrange[model.joint(name).id, 1] for name in hand.joints]
    np.testing.assert_allclose(limits, hand.max_effort, rtol=1e-9)


def test_commanded_poses_are_within_the_joints_own_range(station, model):
    hand, _ = station
    ends = hand.shape(hand.lower), hand.shape(hand.upper)
    for name, lower, upper in zip(hand.moving, *ends, strict=True):
        assert upper <= model.joint(name).range[1] + 1e-9
        # ROBEL's figures command the top joints slightly beyond their mechanical range.
        assert lower >= model.joint(name).range[0] - 0.031


def finger(name):
    return name.split("_")[0]


OBJECT = ("hub", "lobe_0_capsule", "lobe_1_capsule", "lobe_2_capsule")


def can_touch(model, one, other):
    """Whether MuJoCo looks for contacts between two named geoms."""
    a, b = (model.geom(name) for name in (one, other))
    if not (a.contype & b.conaffinity or b.contype & a.conaffinity).item():
        return False
    bodies = a.bodyid.item(), b.bodyid.item()
    signature = {(min(bodies) << 16) + max(bodies), (max(bodies) << 16) + min(bodies)}
    return not signature & set(model.exclude_signature.tolist())


def test_every_contact_the_claw_has_is_looked_for(claw):
    """Finger with finger, with base, with object, with table."""
    model = build_spec(*claw, SceneConfig()).compile()
    geoms = [model.geom(i).name for i in range(model.ngeom)]
    moving = [g for g in geoms if finger(g) in ("first", "middle", "thumb") and "base" not in g]
    assert len(moving) == 12
    others = ["table", "claw_base_disc", *OBJECT]
    for one in moving:
        own = finger(one)
        for other in others + [g for g in moving if finger(g) != own]:
            assert can_touch(model, one, other), (one, other)
        for base in ("first_base_servo", "middle_base_servo", "thumb_base_servo"):
            # Only the link that turns in a base servo's own bearing does not collide with it.
            own_bearing = one == f"{own}_proximal_servo" and finger(base) == own
            assert can_touch(model, one, base) != own_bearing, (one, base)


def test_every_contact_the_allegro_hand_has_is_looked_for(allegro):
    """Finger with finger, with palm, with object, with table."""
    model = build_spec(*allegro, SceneConfig()).compile()
    geoms = [model.geom(i).name for i in range(model.ngeom)]
    moving = [g for g in geoms if finger(g) in ("ff", "mf", "rf", "th")]
    assert len(moving) == 4 * 5
    in_the_palm = {"ff_base_box", "mf_base_box", "rf_base_box", "th_base_box", "th_proximal_box"}
    for one in moving:
        for other in ["table", *OBJECT, *(g for g in moving if finger(g) != finger(one))]:
            assert can_touch(model, one, other), (one, other)
        assert can_touch(model, one, "palm_box") == (one not in in_the_palm), one


def test_fingers_of_the_claw_do_collide(claw):
    """Two fingers with a common target stop each other before they reach it."""
    backend = MujocoBackend(*claw)
    data = backend.batch.bind("ncon")
    target = np.tile([0.0, np.pi / 3, np.pi / 2], 3)[None]
    touched = False
    for _ in range(30):
        backend.step(Command(target, np.full((1, 9), np.inf)), None, 0.1)
        touched |= bool(data[0] > 0)
    assert touched
    assert np.abs(backend.read().hand.q - target).max() > 0.1


def test_the_allegro_hand_rests_free_of_the_object_and_reaches_every_side_of_it(allegro):
    hand, _ = allegro
    model = build_spec(*allegro, SceneConfig()).compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    at = [model.joint(name).qposadr[0] for name in hand.joints]
    data.qpos[at] = hand.nominal
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    sides = {tip: [] for tip in hand.fingertips}
    for _ in range(4000):
        data.qpos[at] = rng.uniform(hand.lower, hand.upper)
        mujoco.mj_kinematics(model, data)
        for tip, angles in sides.items():
            x, y, z = data.site(tip).xpos
            # Below the lobes' crest and within their reach: 0.102 +- 0.021 up, 0.094 far.
            if z < 0.115 and 0.03 < np.hypot(x, y) < 0.09:
                angles.append(np.arctan2(y, x))
    for tip, angles in sides.items():
        assert len(angles) > 40, tip
        assert np.ptp(angles) > np.deg2rad(45), tip


def test_the_allegro_hand_holds_still_against_gravity(allegro):
    hand, fixture = allegro
    backend = MujocoBackend(hand, fixture)
    for _ in range(20):
        reading = backend.step(Command(hand.nominal[None], hand.max_effort[None]), None, 0.1)
    assert np.abs(reading.hand.q - hand.nominal).max() < np.deg2rad(3.0)
    assert np.abs(reading.hand.qd).max() < 1e-3
    assert reading.fixture.q[0, 0] == pytest.approx(0.0, abs=1e-6)


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
    model = build_spec(make_hand("claw"), valve, SceneConfig()).compile()
    assert sum(model.geom(i).name.startswith("lobe") for i in range(model.ngeom)) == lobes


def test_the_core_knows_what_joints_lose(station, model):
    """A passive finger and the object are slowed by what the URDF says, as demonstrations infer."""
    hand, fixture = station
    losses = [model.joint(name).damping[0] for name in hand.moving]
    owners = range(hand.n) if hand.pneumatics is None else hand.pneumatics.owners
    np.testing.assert_array_equal(hand.losses[list(owners)], losses)
    joint, per_rad = model.joint(fixture.joint), fixture.per_rad
    assert fixture.damping == pytest.approx(joint.damping[0] * per_rad**2)
    assert fixture.friction == pytest.approx(joint.frictionloss[0] * per_rad)


PERIOD = 0.1


def objects_bodies(hand, model):
    """Bodies that are not the hand's."""
    root = model.body(f"{hand.name}_base").id
    return [i for i in range(1, model.nbody) if model.body_rootid[i] != root]


def test_every_joint_is_driven_or_sprung(compiled, hand, fixture):
    model = compiled(hand, fixture)
    driven = {*hand.joints, fixture.joint}
    assert [model.actuator(i).name for i in range(model.nu)] == [*hand.joints, fixture.joint]
    patterns = fixture.softness.springs if fixture.softness else {}
    for i in range(model.njnt):
        name, stiffness = model.joint(i).name, model.joint(i).stiffness.max()
        if name in driven:
            assert stiffness == 0
        else:
            [expected] = [k for pattern, k in patterns.items() if fnmatchcase(name, pattern)]
            assert stiffness == expected > 0 and model.joint(i).damping.max() > 0


def test_masses_and_inertias_could_be_real(compiled, hand, fixture):
    """Of no body one moment exceeds the sum of the two others, or a body's of half a metre."""
    model = compiled(hand, fixture)
    for i in objects_bodies(hand, model):
        mass, inertia = model.body_mass[i], np.sort(model.body_inertia[i])
        assert 0 < mass < 1 and (inertia > 0).all(), model.body(i).name
        assert inertia[2] <= inertia[:2].sum() * (1 + 1e-9), model.body(i).name
        assert inertia[2] <= mass * 0.25, model.body(i).name


def test_the_fixture_says_of_its_joint_what_the_urdf_says(compiled, hand, fixture):
    model = compiled(hand, fixture)
    joint, data = model.joint(fixture.joint), mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    ends = np.array([fixture.lower, fixture.upper])
    np.testing.assert_allclose(joint.range, ends * fixture.per_rad)
    np.testing.assert_allclose(data.xaxis[joint.id], fixture.axis, atol=1e-12)
    np.testing.assert_allclose(data.xanchor[joint.id], fixture.centre, atol=1e-12)


def test_a_world_stays_sane_under_random_commands(hand, fixture):
    """200 steps, each with new targets for all joints; at times the object's motor pulls, too."""
    backend, rng = MujocoBackend(hand, fixture, 2), np.random.default_rng(0)
    reach = bent = 0.0
    for t in range(200):
        q = hand.target(rng.uniform(-1, 1, (2, hand.n)))
        pull = Command(rng.uniform(-3, 3, (2, 1)), np.full((2, 1), fixture.max_effort))
        motor = pull if t % 40 < 10 else None
        reading = backend.step(Command(q, np.full((2, hand.n), np.inf)), motor, PERIOD)
        assert np.isfinite(reading.hand.q).all() and np.isfinite(reading.fixture.q).all()
        assert np.abs(reading.hand.qd).max() < 100 and np.abs(reading.fixture.qd).max() < 100
        reach = max(reach, np.abs(reading.fixture.q).max())
        bent = max(bent, np.abs(backend.sprung).max(initial=0.0))
    # The stops of MuJoCo give way: by 20 mm where the claw pushes.
    give = 0.1 if fixture.travel is None else 0.02 / fixture.travel
    assert 0.1 < reach < max(-fixture.lower, fixture.upper) + give
    if fixture.softness is not None:
        assert 0.05 < bent < 1.2


def test_a_rigid_object_has_nothing_of_the_foams(compiled, hand, fixture):
    if fixture.softness is not None:
        return
    model = compiled(hand, fixture)
    assert not model.jnt_stiffness.any() and not model.geom_priority.any()
    assert (
        len(np.unique(model.geom_solref, axis=0)) == len(np.unique(model.geom_solimp, axis=0)) == 1
    )


def test_foam_straightens_when_it_is_let_go(hand, foam):
    backend = MujocoBackend(hand, foam)
    backend.batch.bind("qpos")[0, backend._sprung_at] = 0.5
    np.testing.assert_array_equal(backend.sprung, np.full((1, 6), 0.5))
    for _ in range(5):
        backend.step(Command(hand.nominal[None], hand.max_effort[None]), None, PERIOD)
    assert np.abs(backend.sprung).max() < 0.01


def test_a_spring_without_a_joint_is_refused(hand, foam):
    loose = replace(foam, softness=replace(foam.softness, springs={"lobe_*_twist": 1.0}))
    with pytest.raises(BadConfig, match=r"lobe_\*_twist"):
        build_spec(hand, loose, SceneConfig())


@pytest.mark.parametrize("angle", np.linspace(-4.0, 4.0, 9))
def test_the_block_stays_at_any_angle(hand, angle):
    backend = MujocoBackend(hand, FIXTURES.make("flip"))
    backend.reset(None, angle)
    for _ in range(20):
        reading = backend.step(Command(hand.nominal[None], hand.max_effort[None]), None, PERIOD)
    assert reading.fixture.q[0, 0] == pytest.approx(angle, abs=1e-4)


def test_no_finger_rests_on_the_block(compiled, hand):
    model = compiled(hand, FIXTURES.make("flip"))
    data = mujoco.MjData(model)
    for joint, q in zip(hand.joints, hand.nominal, strict=True):
        data.joint(joint).qpos[0] = q
    for angle in np.linspace(-np.pi, np.pi, 60):
        data.joint("flip").qpos[0] = angle
        mujoco.mj_forward(model, data)
        assert data.ncon == 0, angle
