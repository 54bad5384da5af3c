"""Graphs that cannot be."""

import pytest

from handlab.graph.config import GraphConfig, build_graph
from handlab_core.errors import UnknownName


def test_a_graph_that_cannot_be_is_refused():
    with pytest.raises(UnknownName, match="mujoco"):
        GraphConfig(hardware="x")
    with pytest.raises(UnknownName, match="valve"):
        GraphConfig(task="x")
    assert [n.name for n in build_graph(GraphConfig(learner=False, runner=False))] == [
        "driver", "estimator", "reward", "reset",
    ]  # fmt: skip
