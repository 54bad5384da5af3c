"""The reset of soft hands turns the object away from hooked fingers, within the fixture's range."""

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.reset.clearing import clearing_reset
from handlab_core.reset.motor import Stage
from handlab_core.types import JointState, Reading

PERIOD = 0.1


def stuck(reset, angle, ticks=250):
    """Commands to the fixture while the object never moves from an angle."""
    none = np.zeros((1, 7))
    reading = Reading(
        JointState(np.zeros(1), none, none, none),
        JointState(np.zeros(1), *(np.array([[x]]) for x in (angle, 0.0, 0.0))),
    )
    made = [reset.tick(reading, PERIOD) for _ in range(ticks)]
    return {tick.stage: tick.fixture for tick in made}


@pytest.mark.parametrize(
    ("name", "target", "away"),
    [("valve", 0.2, 0.2 - np.deg2rad(120)), ("valve", -6.0, -2 * np.pi), ("bead", 1.0, 4.0)],
)
def test_the_motor_takes_the_object_away_while_the_hand_is_disentangled(name, target, away):
    fixture = FIXTURES.make(name)
    found = stuck(clearing_reset(make_hand("soft"), fixture, target), 0.5)
    assert found[Stage.DISENTANGLE].q[0, 0] == pytest.approx(away)
    assert found[Stage.DISENTANGLE].effort[0, 0] == fixture.max_effort
    assert found[Stage.OBJECT_HOME].q[0, 0] == target
