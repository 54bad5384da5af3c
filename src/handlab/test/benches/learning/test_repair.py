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


def test_a_worn_servo_is_one_joint_and_its_success_within_three_minutes_counts():
    weak, loose, dead = (
        repair.faulty_world(TASK, repair.FAULTS[name]).servos for name in ("weak", "loose", "dead")
    )
    part = weak.gain / TASK.hand.servos.gain
    assert part[repair.JOINT] == 0.7 and np.delete(part, repair.JOINT).min() == 1.0
    assert dead.max_torque[repair.JOINT] == 0.0 and loose.backlash[repair.JOINT] == 0.15
    row = {
        "what": "a worn servo", "healthy": [1.0], "faulty": [0.0], "faulty_success": [0.25],
        "success": [0.9], "corrected": [0.75], "robot_minutes": [None],
        "median_robot_minutes": None, "median_scratch_minutes": None,
    }  # fmt: skip
    kept = {"rows": {"dead": row}, "command": "c"}
    assert "| a worn servo | 25% | **90%** (90%) | 75% |" in repair.repair_table(kept)
    assert repair.BENCH.figure.measured(kept) == "a worn servo: **90%**"
    assert repair._ratio("dead", row) < 1.0
