"""Every parameter of every node is described, so that `ros2 param describe` explains it."""

import importlib.util
import sys
from dataclasses import fields
from itertools import chain

import pytest

from handlab.graph.config import GraphConfig, build_graph
from handlab_core.system.paths import share
from handlab_core.system.validation import field_schemas
from handlab_nodes.runtime.parameters import descriptor

SPEC = importlib.util.spec_from_file_location("topics_page", share() / "tools/topics_page.py")
topics_page = sys.modules["topics_page"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(topics_page)
params_class = topics_page.params_class

GRAPHS = [*topics_page.GRAPHS, GraphConfig(compose=True)]

ROS_OWN = {"use_sim_time"}

SPECS = list(chain.from_iterable(node.parts or (node,) for g in GRAPHS for node in build_graph(g)))

MODULES = sorted({node.module for node in SPECS})


@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_has_a_description_and_every_number_a_range(module):
    kind = params_class(module)
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
    known = {field.name for field in fields(params_class(spec.module))}
    assert set(spec.parameters) <= known | ROS_OWN
