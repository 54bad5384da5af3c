"""A minute of what `./handlab bench soak` does for an hour."""

import secrets

import numpy as np
import pytest

from handlab.benches.running import soak
from handlab_hardware.dynamixel.emulator.physics import Motion

SECONDS = 60.0
PAUSE = (0.5, 2.0)  # s; shorter than the bench's, so that a minute has as many faults as two
REPORT_LIMIT = 3.0  # s; the bench's limit is for a machine that does nothing else


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_of_faults_leaves_nothing_that_must_not_be(monkeypatch):
    monkeypatch.setattr(soak, "PAUSE", PAUSE)
    monkeypatch.setattr(soak, "REPORT_LIMIT", REPORT_LIMIT)
    seed = secrets.randbelow(2**31)
    print(f"soak: seed {seed}")
    verdict = soak.soak(SECONDS, seed)
    assert sum(verdict.faults.values()) >= 5
    assert verdict.samples > 1000
    assert verdict.stale == [] and verdict.beyond == 0
    assert verdict.unreported == [] and verdict.not_recovered == []


class Turning:
    """Physics of one servo that turns by a radian with every step."""

    period = 0.01

    def __init__(self):
        self.angle = 0.0

    def read(self):
        return Motion(np.array([self.angle]), *np.zeros((3, 1)))

    def advance(self, goals):
        self.angle += 1.0
        return self.read()


def test_a_sample_is_judged_by_what_was_the_newest_truth_at_its_stamp_or_later():
    times = iter((0.0, 1.0, 2.0, 9.0))  # in between a busy machine let the world stand still
    world = soak.Remembering(Turning(), lambda: next(times))
    for _ in range(3):
        world.advance(None)
    assert world.since(9.5).ravel().tolist() == [3.0]
    assert world.since(8.0).ravel().tolist() == [2.0, 3.0]
    assert world.since(0.5).ravel().tolist() == [0.0, 1.0, 2.0, 3.0]
    assert world.age(np.array([1.1]), 8.0) == 7.0
