"""Varied objects: only the varied numbers of the model change."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from mujoco.batch import MODEL_FIELDS

from handlab_core.errors import BadConfig
from handlab_core.objects.fixture import FIXTURES
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.types import Command
from handlab_core.worlds.world import Signals, World
from handlab_sim.backend import MujocoBackend
from handlab_sim.scene import SceneConfig, build_spec
from handlab_sim.varied import varied_model

TASK = make_task("valve")
PERIOD = 0.1

DERIVED = {
    "actuator_acc0", "body_invweight0", "body_subtreemass", "dof_M0", "dof_invweight0",
    "dof_length", "bvh_aabb", "geom_aabb", "geom_rbound",
}  # fmt: skip
"""What MuJoCo computes from the rest."""


def model(**changes):
    return varied_model(TASK.hand, TASK.fixture, SceneConfig(), ObjectVariation(**changes))


@pytest.fixture(scope="module")
def base():
    return build_spec(TASK.hand, TASK.fixture, SceneConfig()).compile()


def changed(base, other):
    names = (name for name in MODEL_FIELDS if not name.startswith("opt."))
    return {n for n in names if not np.array_equal(getattr(base, n), getattr(other, n))} - DERIVED


def test_an_object_that_is_not_varied_is_the_same_model(base):
    assert not changed(base, model())
    assert not changed(base, model(lobes=3))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"mass": 2.0}, {"body_mass", "body_inertia"}),
        ({"friction": 0.5}, {"geom_friction", "geom_priority"}),
        ({"damping": 3.0}, {"dof_damping"}),
        ({"scale": 0.8}, {"body_mass", "body_inertia", "body_ipos", "geom_pos", "geom_size"}),
    ],
)
def test_a_variation_changes_its_own_numbers_of_the_object_only(base, changes, fields):
    other = model(**changes)
    assert changed(base, other) == fields
    body = base.joint(TASK.fixture.joint).bodyid[0]
    geoms = np.flatnonzero(base.geom_bodyid == body)
    for name in fields:
        a, b = getattr(base, name), getattr(other, name)
        rows = set(np.flatnonzero((a != b).reshape(len(a), -1).any(axis=1)).tolist())
        allowed = geoms.tolist() if name.startswith("geom") else [body]
        if name.startswith("dof"):
            allowed = base.joint(TASK.fixture.joint).dofadr.tolist()
        assert rows and rows <= set(allowed), name


def test_factors_are_factors(base):
    body = base.joint(TASK.fixture.joint).bodyid[0]
    dof = base.joint(TASK.fixture.joint).dofadr[0]
    heavy = model(mass=2.5)
    assert heavy.body_mass[body] == pytest.approx(2.5 * base.body_mass[body])
    np.testing.assert_allclose(heavy.body_inertia[body], 2.5 * base.body_inertia[body])
    assert model(damping=3.0).dof_damping[dof] == pytest.approx(3 * base.dof_damping[dof])
    geoms = base.geom_bodyid == body
    slippery = model(friction=0.5)
    np.testing.assert_allclose(slippery.geom_friction[geoms], 0.5 * base.geom_friction[geoms])
    lobe = base.geom("lobe_0_capsule").id
    np.testing.assert_allclose(model(scale=1.2).geom_size[lobe], 1.2 * base.geom_size[lobe])


@pytest.mark.parametrize("lobes", [2, 4, 5])
def test_lobes_are_counted(lobes):
    names = [model(lobes=lobes).geom(i).name for i in range(model(lobes=lobes).ngeom)]
    assert sum(name.startswith("lobe_") for name in names) == lobes


def test_what_an_object_does_not_have_cannot_be_varied():
    with pytest.raises(BadConfig, match="valve, which is rigid"):
        model(stiffness=2.0)
    bare = FIXTURES.make("valve")
    object.__setattr__(bare, "urdf", "claw/claw.urdf.xacro")
    with pytest.raises(BadConfig, match=r"object\.lobes cannot be varied for valve"):
        varied_model(TASK.hand, bare, SceneConfig(), ObjectVariation(lobes=4))


def moved(backend, steps=15):
    """Push the object by hand and motor, all robots alike; return its angles."""
    rng, n = np.random.default_rng(0), TASK.hand.n
    readings = []
    for _ in range(steps):
        q = np.repeat(TASK.hand.target(rng.uniform(-1, 1, (1, n))), backend.num_envs, axis=0)
        hand = Command(q, np.full(q.shape, np.inf))
        fixture = Command(np.full((len(q), 1), 2.0), np.full((len(q), 1), 0.3))
        readings.append(backend.step(hand, fixture, PERIOD).fixture.q[:, 0])
    return np.array(readings)


def test_objects_side_by_side_move_as_each_does_alone():
    """Bit for bit: a world has every number of its own model."""
    servos = TASK.hand.servos
    rough = replace(servos, coulomb=np.full(9, 0.02), delay=np.full(9, 0.025))
    noisy = Signals(latency=0.01, jitter=0.02, loss=0.1, noise=0.02, stream=(4, 2))
    worlds = [
        World(servos),
        World(servos, ObjectVariation(mass=4.0), hand_mass=1.1),
        World(servos, ObjectVariation(scale=0.7, friction=0.4), mount=(0.01, 0.0, 0.0)),
        World(rough, ObjectVariation(damping=3.0), contact=(0.5, 1.0, 1.0), signals=noisy),
    ]
    many = moved(MujocoBackend(TASK.hand, TASK.fixture, 4, 2, worlds=worlds))
    alone = [moved(MujocoBackend(TASK.hand, TASK.fixture, worlds=[w])) for w in worlds]
    np.testing.assert_array_equal(many, np.concatenate(alone, axis=1))
    assert len(np.unique(many[-1])) == 4
    np.testing.assert_array_equal(many[:, :1], moved(MujocoBackend(TASK.hand, TASK.fixture)))


def test_other_numbers_of_lobes_do_not_go_side_by_side():
    with pytest.raises(BadConfig, match="the same number of lobes"):
        MujocoBackend(
            TASK.hand,
            TASK.fixture,
            2,
            worlds=[World(TASK.hand.servos, ObjectVariation(lobes=lobes)) for lobes in (None, 4)],
        )


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_fixtures_axis_is_where_its_urdf_has_it(name):
    """A camera's detections are read about it."""
    fixture = FIXTURES.make(name)
    compiled = build_spec(TASK.hand, fixture, SceneConfig()).compile()
    data = mujoco.MjData(compiled)
    mujoco.mj_forward(compiled, data)
    joint = compiled.joint(fixture.joint).id
    np.testing.assert_allclose(data.xaxis[joint], fixture.axis, atol=1e-6)
    np.testing.assert_allclose(data.xanchor[joint], fixture.centre, atol=1e-6)


def test_a_world_replaced_by_another_leaves_nothing_behind():
    """Without compiling again: the size is one that was there before."""
    worlds = [World(TASK.hand.servos, ObjectVariation(scale=scale)) for scale in (1.0, 0.8)]
    backend = MujocoBackend(TASK.hand, TASK.fixture, 2, worlds=worlds)
    first = moved(backend)
    model = backend.model
    backend.become(worlds[::-1])
    assert backend.model is model
    np.testing.assert_array_equal(moved(backend), first[:, ::-1])
    backend.become(worlds)
    np.testing.assert_array_equal(moved(backend), first)


def test_a_delayed_servo_moves_later_and_a_rough_one_stops_before_its_target():
    def reached(steps, **changes):
        servos = replace(TASK.hand.servos, **{n: np.full(9, v) for n, v in changes.items()})
        backend = MujocoBackend(TASK.hand, TASK.fixture, worlds=[World(servos)])
        q = TASK.hand.nominal[None] + np.where(np.arange(9) % 3 == 2, 0.2, 0.0)
        for _ in range(steps):
            reading = backend.step(Command(q, np.full((1, 9), 3.0)), None, 0.01)
        return reading.hand.q[0, 2] - TASK.hand.nominal[2]

    begun = [reached(5), reached(7, delay=0.02), reached(5, delay=0.02)]
    assert begun[0] == pytest.approx(begun[1], abs=2e-3) and begun[2] < 0.7 * begun[0]
    assert reached(80) - reached(80, coulomb=0.1) == pytest.approx(0.1 / 2.0, abs=0.01)


@pytest.mark.parametrize("name", ["valve", "allegro_valve"])
def test_the_described_servos_are_the_world_that_is_not_varied(name):
    task = make_task(name)
    plain = build_spec(task.hand, task.fixture, SceneConfig()).compile()
    world = MujocoBackend(task.hand, task.fixture, worlds=[World(task.hand.servos)])
    assert not changed(plain, world.model) and world.model.nu == plain.nu
