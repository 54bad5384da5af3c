"""Every object of the registry as it is simulated, and what foam and block must do."""

from dataclasses import replace
from fnmatch import fnmatchcase

import mujoco
import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES, FOAM_LOBE
from handlab_core.types import Command
from handlab_sim import pushing
from handlab_sim.backend import MujocoBackend
from handlab_sim.decor import goal_position
from handlab_sim.scene import SceneConfig, build_spec

PERIOD = 0.1
HUB = 0.02  # m, where the foam begins


@pytest.fixture(params=sorted(FIXTURES))
def fixture(request):
    return FIXTURES.make(request.param)


@pytest.fixture
def hand():
    return make_hand("claw")


@pytest.fixture(scope="module")
def foam():
    return FIXTURES.make("valve_foam")


def compiled(hand, fixture):
    return build_spec(hand, fixture, SceneConfig()).compile()


def objects_bodies(hand, model):
    """Bodies that are not the hand's."""
    root = model.body(f"{hand.name}_base").id
    return [i for i in range(1, model.nbody) if model.body_rootid[i] != root]


def test_every_joint_is_driven_or_sprung(hand, fixture):
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


def test_masses_and_inertias_could_be_real(hand, fixture):
    """Of no body one moment exceeds the sum of the two others, or a body's of half a metre."""
    model = compiled(hand, fixture)
    for i in objects_bodies(hand, model):
        mass, inertia = model.body_mass[i], np.sort(model.body_inertia[i])
        assert 0 < mass < 1 and (inertia > 0).all(), model.body(i).name
        assert inertia[2] <= inertia[:2].sum() * (1 + 1e-9), model.body(i).name
        assert inertia[2] <= mass * 0.25, model.body(i).name


def test_the_fixture_says_of_its_joint_what_the_urdf_says(hand, fixture):
    model = compiled(hand, fixture)
    joint, data = model.joint(fixture.joint), mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(joint.range, [fixture.lower, fixture.upper])
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
    assert 0.1 < reach < fixture.upper + 0.1
    if fixture.softness is not None:
        assert 0.05 < bent < 1.2


def test_a_rigid_object_has_nothing_of_the_foams(hand, fixture):
    if fixture.softness is not None:
        return
    model = compiled(hand, fixture)
    assert not model.jnt_stiffness.any() and not model.geom_priority.any()
    assert (
        len(np.unique(model.geom_solref, axis=0)) == len(np.unique(model.geom_solimp, axis=0)) == 1
    )


@pytest.mark.parametrize("reach", [0.06, 0.073, 0.094])
def test_a_lobe_bends_as_a_beam_of_its_foam(foam, reach):
    forces = np.array([0.2, 1.0])
    expected = forces * FOAM_LOBE.compliance(reach - HUB)
    np.testing.assert_allclose(pushing.bend(foam, forces, reach), expected, rtol=0.2)


def test_the_foams_lobe_is_the_urdfs(hand, foam):
    """The beam that the springs are made from has the lobe's radius and free length."""
    model = compiled(hand, foam)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    lobe = model.geom("lobe_0_capsule")
    end = data.geom("lobe_0_capsule").xpos[0] + lobe.size[1] + lobe.size[0]
    assert lobe.size[0] == pytest.approx(FOAM_LOBE.radius)
    assert end - HUB == pytest.approx(FOAM_LOBE.length, abs=1e-6)


def test_foam_gives_to_a_finger_and_the_rigid_valve_does_not(foam):
    [soft], [hard] = (pushing.press(v, [2.0], 0.073) for v in (foam, FIXTURES.make("valve")))
    assert hard < 0.0005 < 0.005 < soft < 0.02


def test_a_dent_in_foam_is_as_deep_as_hertz_says(foam):
    """Crossed cylinders of 11 and 21 mm: F = 4/3 E' sqrt(R) d^1.5, R their geometric mean; +-60 %.

    The contact of a simulation is linear at best, so it can only be about right over a range.
    """
    model = pushing.press(foam, [1.0], 0.073) - pushing.bend(foam, [1.0], 0.073)
    stiff = FOAM_LOBE.modulus / (1 - FOAM_LOBE.poisson**2)
    hertz = (1.0 / (4 / 3 * stiff * (0.011 * 0.021) ** 0.25)) ** (2 / 3)
    np.testing.assert_allclose(model, hertz, rtol=0.6)


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


def test_no_finger_rests_on_the_block(hand):
    model = compiled(hand, FIXTURES.make("flip"))
    data = mujoco.MjData(model)
    for joint, q in zip(hand.joints, hand.nominal, strict=True):
        data.joint(joint).qpos[0] = q
    for angle in np.linspace(-np.pi, np.pi, 60):
        data.joint("flip").qpos[0] = angle
        mujoco.mj_forward(model, data)
        assert data.ncon == 0, angle


def test_goals_are_marked_about_the_objects_axis():
    valve, flip = (FIXTURES.make(name) for name in ("valve", "flip"))
    np.testing.assert_allclose(goal_position(valve, 0.0), (0.125, 0.0, 0.102))
    np.testing.assert_allclose(goal_position(valve, np.pi / 2), (0.0, 0.125, 0.102), atol=1e-12)
    down, side, up = (goal_position(flip, a) for a in (0.0, np.pi / 2, np.pi))
    assert down[2] < side[2] < up[2] and down[0] == side[0] == up[0]
    assert side[1] > 0.01  # a positive turn about x brings what is below to +y


def test_the_marked_side_goes_where_the_mark_is(hand):
    """The mark's start turned by the joint is where the mark says, for every object."""
    for name in sorted(FIXTURES):
        fixture = FIXTURES.make(name)
        model = compiled(hand, fixture)
        data = mujoco.MjData(model)
        data.joint(fixture.joint).qpos[0] = 0.7
        mujoco.mj_kinematics(model, data)
        body = data.body(model.body(model.joint(fixture.joint).bodyid[0]).name)
        start = np.array(goal_position(fixture, 0.0)) - body.xpos
        turned = body.xpos + body.xmat.reshape(3, 3) @ start
        np.testing.assert_allclose(goal_position(fixture, 0.7), turned, atol=1e-9)
