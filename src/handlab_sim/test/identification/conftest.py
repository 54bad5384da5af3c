"""A hand and room for its motion."""

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_sim.identification.safe_motion import safe_motion


@pytest.fixture(scope="session")
def room():
    """Centre and amplitudes of a motion above a valve at 0.3 rad."""
    return safe_motion(make_hand("claw"), FIXTURES.make("valve"), np.full(9, 0.4), 0.3)
