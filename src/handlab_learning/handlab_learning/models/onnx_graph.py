"""Policies as ONNX graphs, built by hand from their arrays.

`torch.onnx` would need the package onnx, too, and onnxscript besides it, and it exports from torch
modules, while the policy that acts is one of numpy. All numbers are in double precision, as in
numpy: the actions then differ by rounding only.
"""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from handlab_core.environment.policies.gait_policy import SLOWER, SLOWEST, STOP, GaitPolicy
from handlab_core.environment.policies.policy import GaussianPolicy, Policy
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

OPSET, IR_VERSION = 17, 8
"""Versions of the operators and of the file; onnxruntime 1.13 of 2022 reads them."""

OBSERVATION, ACTION = "observation", "action"
"""Names of the input and of the output, (N, O) and (N, A)."""

MEMORY = "_next"
"""Suffix of the output that is the input of the same name in the next step of an episode."""

ROBOTS = "robots"
"""Name of the first dimension, N."""


class Graph:
    """Nodes and arrays of a graph that grows from its inputs."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._arrays: dict[str, Array] = {}

    def array(self, name: str, value: Array | float) -> str:
        """Add a constant; return its name."""
        self._arrays[name] = np.asarray(value, dtype=np.float64)
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its output."""
        name = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def layers(
        self, x: str, weights: Sequence[Array], biases: Sequence[Array], activation: str
    ) -> str:
        """Add a network; return the name of its last layer's output."""
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = self.add("MatMul", x, self.array(f"weight_{i}", weight))
            x = self.add("Add", x, self.array(f"bias_{i}", bias))
            x = self.add(activation, x) if i < len(weights) - 1 else x
        return x

    def normalised(self, shift: Array, scale: Array) -> str:
        """Add the normalisation of the observation; return the name of its output."""
        centred = self.add("Sub", OBSERVATION, self.array("shift", shift))
        return self.add("Div", centred, self.array("scale", scale))

    def model(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> onnx.ModelProto:
        """Return the model; raise onnx's error if it is not valid.

        Args:
            inputs: size of each input, by name.
            outputs: size of each output, by name.
        """

        def values(sizes: Mapping[str, int]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(name, TensorProto.DOUBLE, [ROBOTS, size])
                for name, size in sizes.items()
            ]

        arrays = [numpy_helper.from_array(value, name) for name, value in self._arrays.items()]
        graph = helper.make_graph(self._nodes, "policy", values(inputs), values(outputs), arrays)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="handlab"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


@singledispatch
def to_onnx(policy: Policy, spaces: Spaces) -> onnx.ModelProto:
    """Return a policy without exploration noise as an ONNX model.

    Args:
        policy: the policy.
        spaces: sizes of the observation and of the action.

    Raises:
        BadRun: this kind of policy has no such form.
    """
    known = "GaussianPolicy, SquashedPolicy, GaitPolicy"
    raise BadRun(f"a {type(policy).__name__} cannot be exported; there are: {known}")


@to_onnx.register
def _(policy: GaussianPolicy, spaces: Spaces) -> onnx.ModelProto:
    graph = Graph()
    x = graph.normalised(policy.shift, policy.scale)
    x = graph.layers(x, policy.weights, policy.biases, "Tanh")
    graph.add("Identity", x, output=ACTION)
    return graph.model({OBSERVATION: spaces.observation}, {ACTION: spaces.action})


@to_onnx.register
def _(policy: SquashedPolicy, spaces: Spaces) -> onnx.ModelProto:
    graph = Graph()
    x = graph.normalised(policy.shift, policy.scale)
    # The last layer also computes the deviation of the noise, which is left out.
    weights = (*policy.weights[:-1], policy.weights[-1][:, : spaces.action])
    biases = (*policy.biases[:-1], policy.biases[-1][: spaces.action])
    graph.add("Tanh", graph.layers(x, weights, biases, "Relu"), output=ACTION)
    return graph.model({OBSERVATION: spaces.observation}, {ACTION: spaces.action})


@to_onnx.register
def _(policy: GaitPolicy, spaces: Spaces) -> onnx.ModelProto:
    """Build a graph with the memory of a gait as inputs and outputs, both 0 at the beginning.

    `last` is kept as its difference from the centre of the gait, so that it begins at 0 as well.
    """
    graph = Graph()
    one = graph.array("one", 1.0)
    minus = graph.array("minus_one", -1.0)
    selector = np.zeros((spaces.observation, 1))
    selector[policy.error, 0] = 1.0
    error = graph.add("MatMul", OBSERVATION, graph.array("selector", selector))  # (N, 1)
    size = graph.add("Abs", error)
    near = graph.add("Less", size, graph.array("stop", STOP))
    pace = graph.add("Div", size, graph.array("slower", SLOWER))
    pace = graph.add("Max", pace, graph.array("slowest", SLOWEST))
    pace = graph.add("Min", pace, one)
    pace = graph.add("Where", near, graph.array("zero", 0.0), pace)
    step = graph.add("Mul", graph.add("Sign", error), pace)
    step = graph.add("Mul", step, graph.array("speed", policy.speed))
    phase = graph.add("Sub", "phase", step, output=f"phase{MEMORY}")
    wave = graph.add("Sin", graph.add("Add", phase, graph.array("lead", policy.lead)))
    swing = graph.add("Mul", wave, graph.array("amplitude", policy.amplitude))
    swing = graph.add("Add", swing, graph.array("offset", policy.offset))
    swing = graph.add("Min", graph.add("Max", swing, minus), one)
    centre = graph.array("centre", np.clip(policy.offset, -1.0, 1.0))
    last = graph.add("Add", "last", centre)
    graph.add("Where", near, last, swing, output=ACTION)
    graph.add("Sub", ACTION, centre, output=f"last{MEMORY}")
    memory = {"phase": 1, "last": spaces.action}
    return graph.model(
        {OBSERVATION: spaces.observation, **memory},
        {ACTION: spaces.action, **{f"{name}{MEMORY}": size for name, size in memory.items()}},
    )
