"""Varied objects of the Adroit suite."""

import gymnasium_robotics
import mujoco
import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.variation import ObjectVariation
from handlab_sim.adroit.environment import AdroitWorld
from handlab_sim.adroit.objects import BODIES, FIELDS, AdroitObject


@pytest.mark.parametrize("name", ["adroit_relocate", "adroit_hammer", "adroit_pen"])
def test_a_larger_object_is_what_a_larger_one_compiles_to(name):
    """Each number of the edited model is that of a model whose description was edited."""
    task, scale = find_task(name), 1.3
    world = AdroitWorld(task)
    plain = AdroitObject(task, world.env.model, world.env.data)
    plain.become(ObjectVariation(scale=scale))
    file = task.environment.removeprefix("AdroitHand").lower()
    assets = gymnasium_robotics.__path__[0]
    spec = mujoco.MjSpec.from_file(f"{assets}/envs/assets/adroit_hand/adroit_{file}.xml")
    [body_name] = BODIES[task.environment]
    body = spec.body(body_name)
    explicit = body.mass > 0
    body.mass, body.inertia = body.mass * scale**3, body.inertia * scale**5
    body.ipos = body.ipos * scale
    if name != "adroit_pen":
        body.pos = body.pos * [1, 1, scale]
    for geom in body.geoms:
        geom.size, geom.pos = geom.size * scale, geom.pos * scale
    for site in body.sites:
        site.pos = site.pos * scale
    compiled = spec.compile()
    assert explicit == (name != "adroit_pen")  # the pen's mass is that of its volume
    loose = {"body_subtreemass", "body_invweight0", "dof_invweight0"}
    for field in sorted({*FIELDS, *loose}):
        expected = getattr(compiled, field)
        np.testing.assert_allclose(
            getattr(world.env.model, field), expected, rtol=2e-3, atol=1e-9, err_msg=field
        )


def test_an_object_returns_to_its_compiled_values(short, run, policy):
    task = short("adroit_relocate")
    world = AdroitWorld(task)
    acts = policy(task, np.random.default_rng(0))
    before = run(world, acts, 0, 0)
    thing = AdroitObject(task, world.env.model, world.env.data)
    thing.become(ObjectVariation(scale=1.5, mass=3.0, friction=0.3, damping=2.0))
    assert world.env.model.body("Object").mass[0] == pytest.approx(0.179594 * 3 * 1.5**3)
    thing.become(ObjectVariation())
    np.testing.assert_array_equal(
        run(world, acts, 0, 0).trajectory.observations, before.trajectory.observations
    )


@pytest.mark.parametrize(
    ("name", "vary"), [("adroit_door", {"scale": 1.2}), ("adroit_pen", {"stiffness": 2.0})]
)
def test_what_cannot_vary_is_refused(name, vary):
    world = AdroitWorld(find_task(name))
    thing = AdroitObject(world.task, world.env.model, world.env.data)
    with pytest.raises(BadConfig, match=r"vary object\."):
        thing.become(ObjectVariation(**vary))
