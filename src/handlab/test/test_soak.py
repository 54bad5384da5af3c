"""Two minutes of what `./handlab bench soak` does for an hour."""

import secrets

import pytest

from handlab.benches.soak import soak

SECONDS = 120.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_minutes_of_faults_leave_nothing_that_must_not_be():
    seed = secrets.randbelow(2**31)
    print(f"soak: seed {seed}")
    verdict = soak(SECONDS, seed)
    assert sum(verdict.faults.values()) >= 5
    assert verdict.samples > 1000
    assert (verdict.stale, verdict.beyond) == (0, 0)
    assert verdict.untold == [] and verdict.not_recovered == []
