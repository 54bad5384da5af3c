"""The simulated world advances when all engaged groups are commanded."""

import numpy as np

from handlab_core.hardware.lockstep import FIXTURE, HAND, Lockstep
from handlab_core.types import Command


def command(value, n=9):
    return Command(np.full((1, n), value), np.ones((1, n)))


def test_the_world_waits_for_every_engaged_group_and_refuses_other_times():
    gate = Lockstep()
    assert not gate.offer(HAND, command(0), stamp=0.2, now=0.1) and gate.stale == 1
    assert gate.offer(HAND, command(1), stamp=0.1, now=0.1)
    assert gate.take()[1] is None
    gate.engage(FIXTURE, True)
    assert not gate.offer(HAND, command(2), stamp=0.2, now=0.2)
    assert not gate.offer(HAND, command(3), stamp=0.2, now=0.2)  # twice: the first one counts
    assert gate.offer(FIXTURE, command(4, 1), stamp=0.2, now=0.2)
    hand, fixture, _ = gate.take()
    assert hand.q[0, 0] == 2 and fixture.q[0, 0] == 4
