"""The bench of faulty hands: what a fault does, and the table."""

import numpy as np

from handlab.benches.learning import repair
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import ObjectVariation

TASK = make_task("valve")


def test_a_fault_changes_one_joint_or_the_object_and_nothing_else():
    healthy, slipped, slippery = (
        repair.faulty_world(TASK, fault)
        for fault in (repair.Fault(""), repair.FAULTS["slipped"], repair.FAULTS["slippery"])
    )
    assert healthy.ideal_wire and healthy.object == ObjectVariation()
    assert np.flatnonzero(slipped.servos.zero).tolist() == [repair.JOINT]
    assert slipped.object == healthy.object and not slippery.servos.zero.any()
    assert slippery.object.friction == 0.1


def test_the_table_has_the_base_before_and_after_and_both_ways_to_learn():
    row = {
        "what": "a fault", "healthy": [1.0, 1.0], "faulty": [0.0, 0.1],
        "robot_minutes": [3.0, None], "median_robot_minutes": 3.0, "median_scratch_minutes": None,
    }  # fmt: skip
    kept = {"rows": {"slipped": row}, "command": "c"}
    assert "| a fault | 100%, 5% | **3.0** (3.0, never) | never |" in repair.repair_table(kept)
    assert repair.BENCH.figure.measured(kept) == "a fault: **3.0**"
