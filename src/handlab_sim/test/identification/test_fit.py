"""Fits of servos whose parameters are known."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import Command
from handlab_core.worlds.excitation import Recording, approach, excite
from handlab_core.worlds.fitted import QUANTITIES
from handlab_core.worlds.world import World
from handlab_sim.backend import MujocoBackend
from handlab_sim.identification.fit import fit_servos
from handlab_sim.scene import SceneConfig

HAND, VALVE, STEP = make_hand("claw"), FIXTURES.make("valve"), 0.005


def recorded(servos, room, seconds, mass=1.0):
    """Return the motion of a hand with other servos and masses."""
    config = SceneConfig(timestep=STEP)
    world = World(servos, hand_mass=mass)
    backend = MujocoBackend(HAND, VALVE, config=config, worlds=[world])
    rows = []
    for target in (*approach(HAND.nominal, room[0]), *excite(HAND, *room, 0, seconds).targets):
        sent_at = backend.read().hand.stamp[0]
        state = backend.step(Command(target[None], HAND.max_effort[None]), None, 0.01).hand
        rows.append((sent_at, target, state.stamp[0], state.q[0], state.effort[0]))
    return Recording(*map(np.array, zip(*rows[-round(seconds * 100) :], strict=True)))


def test_known_servos_are_found(room):
    rng, own = np.random.default_rng(3), HAND.servos
    servos = replace(
        own,
        gain=own.gain * rng.uniform(0.6, 1.8, 9),
        viscous=own.viscous * rng.uniform(0.5, 1.3, 9),
        coulomb=rng.uniform(0.005, 0.02, 9),
        armature=own.armature * rng.uniform(0.7, 1.6, 9),
        delay=np.full(9, 0.015),
    )
    found = fit_servos(HAND, recorded(servos, room, 12.0), timestep=STEP)
    truth = (servos.stiffness, servos.damping, servos.coulomb, servos.armature, servos.delay)
    for name, column, wanted, within in zip(
        QUANTITIES, found.value.T, truth, (0.03, 0.05, 0.1, 0.1, 0.1), strict=False
    ):
        np.testing.assert_allclose(column, wanted, rtol=within, err_msg=name)
    assert found.residual < 1e-3 and (found.low < found.value).all()


def test_heavy_links_do_not_pass_for_the_inertia_of_the_rotors(room):
    """Links weigh, and rotors do not."""
    own = HAND.servos
    found = fit_servos(HAND, recorded(own, room, 12.0, mass=1.1), timestep=STEP)
    np.testing.assert_allclose(found.mass, 1.1, rtol=0.02)
    np.testing.assert_allclose(found.value[:, 3], own.armature, rtol=0.05)


def test_noise_and_play_of_the_gears_do_not_pass_for_friction(room):
    """Play and dry friction both make a joint lag where it turns back; only torque parts them."""
    own = HAND.servos
    servos = replace(
        own, coulomb=np.full(9, 0.02), backlash=np.full(9, 0.004), delay=np.full(9, 0.015)
    )
    clean = recorded(servos, room, 12.0)
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, clean.q.shape)
    found = fit_servos(HAND, replace(clean, q=clean.q + noise), timestep=STEP)
    value = dict(zip(QUANTITIES, found.value.T, strict=True))
    np.testing.assert_allclose(value["friction"], 0.02, rtol=0.05)
    np.testing.assert_allclose(value["backlash"], 0.004, atol=0.001)
    np.testing.assert_allclose(value["gain"], servos.stiffness, rtol=0.02)
    assert (found.low[:, 2] < 0.02).all() and (found.high[:, 2] > 0.02).all()


def test_a_recording_of_another_hand_is_refused(room):
    recording = recorded(HAND.servos, room, 3.0)
    with pytest.raises(BadConfig, match="16 joints"):
        fit_servos(make_hand("leap"), recording)
