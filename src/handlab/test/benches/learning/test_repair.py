"""The bench of faulty hands: what a fault does, and the table."""

import numpy as np

from handlab.benches.learning import repair
from handlab_core.tasks import make_task
from handlab_core.types import Command

TASK = make_task("valve")


def test_a_slipped_horn_shifts_what_is_measured_and_what_is_commanded():
    """The encoder says less than the joint's angle; to the motor's controller all is as ever."""
    faulty = repair.FaultyHand(TASK, repair.Fault("", shift=0.3), 1)
    healthy = repair.FaultyHand(TASK, repair.Fault(""), 1)
    away = healthy.read().hand.q - faulty.read().hand.q
    np.testing.assert_allclose(away, 0.3 * np.eye(TASK.hand.n)[[repair.JOINT]], atol=1e-12)
    target = faulty.read().hand.q
    for _ in range(10):
        reading = faulty.step(Command(target, np.full_like(target, np.inf)), None, TASK.period)
    np.testing.assert_allclose(reading.hand.q, target, atol=0.05)
    faulty.close()
    healthy.close()


def test_the_table_has_the_base_before_and_after_and_both_ways_to_learn():
    row = {
        "what": "a fault", "healthy": [1.0, 1.0], "faulty": [0.0, 0.1],
        "robot_minutes": [3.0, None], "median_robot_minutes": 3.0, "median_scratch_minutes": None,
    }  # fmt: skip
    kept = {"rows": {"slipped": row}, "command": "c"}
    assert "| a fault | 100%, 5% | **3.0** (3.0, never) | never |" in repair.repair_table(kept)
    assert repair.BENCH.figure.measured(kept) == "a fault: **3.0**"
