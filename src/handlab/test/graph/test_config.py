"""Graphs that cannot be."""

import pytest

from handlab.graph.config import GraphConfig, build_graph
from handlab_core.errors import BadConfig, UnknownName


def test_a_graph_that_cannot_be_is_refused():
    with pytest.raises(UnknownName, match="mujoco"):
        GraphConfig(hardware="x")
    with pytest.raises(UnknownName, match="valve"):
        GraphConfig(task="x")
    assert [n.name for n in build_graph(GraphConfig(learner=False, runner=False))] == [
        "driver", "estimator", "reward", "reset",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hardware": "dynamixel"}, "no driver for hardware dynamixel.*use --hardware mujoco"),
        ({"pace": "real", "ros2_control": True}, "no interface for the pressures"),
        ({"pace": "real", "teacher": "script"}, "nothing measures how the soft hand is led"),
    ],
)
def test_what_a_hand_of_air_does_not_have_is_refused_by_name(options, message):
    with pytest.raises(BadConfig, match=message):
        GraphConfig(**{"task": "soft_valve", "pace": "real"} | options)
