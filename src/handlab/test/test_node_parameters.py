"""Every parameter of every node is described, so that `ros2 param describe` explains it."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import chain

import pytest

from handlab.graph.config import GraphConfig, build_graph
from handlab_core.system.validation import field_schemas
from handlab_nodes.runtime.parameters import descriptor

GRAPHS = [
    GraphConfig(viewer=True, scene=True, bag="bag", estimator="camera"),
    GraphConfig(hardware="dynamixel", pace="real", port="/dev/null", emulate=True),
    GraphConfig(task="allegro_valve", hardware="allegro", pace="real"),
    GraphConfig(teacher="script", runner=False),
    GraphConfig(replay="look"),
    GraphConfig(replay="hand"),
    GraphConfig(compose=True),
    GraphConfig(ros2_control=True, pace="real"),
]
"""Together they contain every node."""

ROS_OWN = {"use_sim_time"}

SPECS = list(chain.from_iterable(node.parts or (node,) for g in GRAPHS for node in build_graph(g)))

MODULES = sorted({node.module for node in SPECS})


def params_of(module_name):
    """Return the dataclass that a node reads its parameters into."""
    module = import_module(module_name)
    found = [
        value
        for name, value in vars(module).items()
        if name.endswith("Params") and is_dataclass(value) and value.__module__ == module_name
    ]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_has_a_description_and_every_number_a_range(module):
    kind = params_of(module)
    schemas = field_schemas(kind)
    for field in fields(kind):
        described = descriptor(schemas[field.name])
        assert len(described.description) > 5, field.name
        value = getattr(kind(), field.name)
        if isinstance(value, float):
            (of,) = described.floating_point_range
            assert of.from_value <= value <= of.to_value < float("inf"), field.name
        elif isinstance(value, int) and not isinstance(value, bool):
            (of,) = described.integer_range
            assert of.from_value <= value <= of.to_value < 2**63 - 1, field.name


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_graph_sets_parameters_that_its_nodes_have(spec):
    known = {field.name for field in fields(params_of(spec.module))}
    assert set(spec.parameters) <= known | ROS_OWN
