"""Where a demonstration began."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.demonstrations.start_check import ELSEWHERE, check_start
from handlab_core.errors import BadDemonstrations
from handlab_core.system import batch
from handlab_core.tasks import make_task
from handlab_core.types import ObjectEstimate

TASK = make_task("valve")


def test_a_hand_that_is_elsewhere_is_told_both_poses(recorded):
    motion = recorded()
    hand = batch.take(motion.hand, [0])
    obj = ObjectEstimate(*(np.array([x]) for x in (5.0, 0.0, 0.0)))
    check_start(TASK, motion, replace(hand, q=hand.q + 0.9 * ELSEWHERE), obj)
    q = hand.q.copy()
    q[0, 4] += 1.1 * ELSEWHERE
    with pytest.raises(BadDemonstrations, match=r"elsewhere: MFJ21 more than 10 degrees") as error:
        check_start(TASK, motion, replace(hand, q=q), obj)
    assert f"MFJ21 {q[0, 4]:.2f}" in str(error.value)
    assert f"MFJ21 {hand.q[0, 4]:.2f}" in str(error.value)
    with pytest.raises(BadDemonstrations, match="elsewhere: valve"):
        check_start(TASK, motion, hand, replace(obj, angle=obj.angle + 1.1 * ELSEWHERE))
