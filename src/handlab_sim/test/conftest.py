"""Fixtures: a hand, objects, and the function that compiles their scene."""

import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_sim.scene import SceneConfig, build_spec


@pytest.fixture(params=sorted(FIXTURES))
def fixture(request):
    return FIXTURES.make(request.param)


@pytest.fixture
def hand():
    return make_hand("claw")


@pytest.fixture(scope="session")
def foam():
    return FIXTURES.make("valve_foam")


@pytest.fixture(scope="session")
def compiled():
    """Function that compiles the scene of a hand and a fixture."""
    return lambda hand, fixture: build_spec(hand, fixture, SceneConfig()).compile()
