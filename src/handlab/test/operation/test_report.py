"""The report of a hand as a table, and as figures for programs."""

import json
import math

from handlab.operation.report import (
    FAULT,
    OK,
    HandReport,
    JointReport,
    NodeReport,
    aligned,
    number,
)

REPORT = HandReport(
    "claw on /dev/ttyUSB0",
    (
        JointReport("FFJ10", "10 XM430-W210 v46", 0.5, 0.6, 0.1, 31.0, 11.9, True),
        JointReport("FFJ11", "11", problem="does not answer: check its cable"),
    ),
    (NodeReport("driver", FAULT, "servo 11 is silent"), NodeReport("reward", OK, "ready")),
)


def test_every_joint_and_node_with_a_problem_is_a_fault():
    assert REPORT.faults == [
        "FFJ11 does not answer: check its cable",
        "driver: servo 11 is silent",
    ]


def test_the_figures_are_json_without_nan():
    figures = json.loads(json.dumps(REPORT.figures(), allow_nan=False))
    assert figures["servos"][1]["position"] is None and figures["servos"][0]["torque"] is True
    assert figures["faults"] == REPORT.faults


def test_the_table_is_aligned_and_has_degrees():
    place, head, first, second, *_ = REPORT.lines()
    assert place == "claw on /dev/ttyUSB0" and head.startswith("joint")
    assert "28.6" in first and "on" in first and first.endswith("ok")
    assert second.index("does not") == first.index("ok")
    assert aligned([]) == []


def test_numbers_for_people():
    assert [number(v, 1) for v in (math.nan, -0.04, 0.0, -0.06, 12.34)] == [
        "-", "0.0", "0.0", "-0.1", "12.3"
    ]  # fmt: skip
