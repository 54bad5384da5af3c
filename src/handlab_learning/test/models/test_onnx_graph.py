"""Every kind of policy acts the same from an ONNX file as in numpy and in torch."""

import itertools

import numpy as np
import pytest
import torch

from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.tasks import make_task
from handlab_learning.algorithms import make_algorithm
from handlab_learning.models.onnx_graph import to_onnx
from handlab_learning.models.onnx_policy import OnnxPolicy
from handlab_learning.runs.config import RunConfig

SPACES = make_task("valve").spaces
INPUTS, OUTPUTS = SPACES.observation, SPACES.action
TOLERANCE = 1e-6


def layers(rng, outputs, widths=(32, 32)):
    sizes = (INPUTS, *widths, outputs)
    weights = tuple(rng.normal(size=pair) / 3 for pair in itertools.pairwise(sizes))
    return weights, tuple(rng.normal(size=size) for size in sizes[1:])


def gaussian(rng):
    weights, biases = layers(rng, OUTPUTS)
    shift, scale = rng.normal(size=INPUTS), rng.uniform(0.1, 3.0, INPUTS)
    return GaussianPolicy(weights, biases, np.zeros(OUTPUTS), shift, scale, 3)


def squashed(rng):
    weights, biases = layers(rng, 2 * OUTPUTS)
    shift, scale = rng.normal(size=INPUTS), rng.uniform(0.1, 3.0, INPUTS)
    return SquashedPolicy(weights, biases, shift, scale, 1.0, 3)


def gait(rng):
    error = [name for name, size in make_task("valve").layout for _ in range(size)].index("error")
    return GaitPolicy(
        rng.uniform(-1, 1, OUTPUTS),
        rng.uniform(0, 1, OUTPUTS),
        rng.uniform(-3, 3, OUTPUTS),
        0.4,
        error,
        0.1,
        3,
    )


def exported(policy):
    return OnnxPolicy(to_onnx(policy, SPACES).SerializeToString(), policy.version)


@pytest.mark.parametrize("make", [gaussian, squashed, gait])
@pytest.mark.parametrize("robots", [1, 7])
def test_the_file_acts_as_the_policy_over_an_episode(make, robots):
    rng = np.random.default_rng(robots)
    policy = make(rng)
    ours, theirs = policy.begin(), exported(policy).begin()
    assert theirs.version == policy.version
    for scale in (0.0, 1e-3, *np.linspace(0.1, 10.0, 40)):
        observation = scale * rng.normal(size=(robots, INPUTS))
        np.testing.assert_allclose(
            theirs.act(observation), ours.act(observation), rtol=0, atol=TOLERANCE
        )


def test_a_new_attempt_begins_without_the_memory_of_another():
    policy = gait(np.random.default_rng(1))
    first, observation = exported(policy), np.ones((1, INPUTS))
    one, two = first.begin(), first.begin()
    actions = [one.act(observation) for _ in range(3)]
    assert not np.allclose(actions[0], actions[2])
    np.testing.assert_array_equal(two.act(observation), actions[0])


@pytest.mark.parametrize("algorithm", ["npg", "rlpd"])
def test_the_file_acts_as_the_network_of_torch_that_was_trained(algorithm):
    task = make_task("valve")
    config = RunConfig(algorithm=algorithm, settings={"hidden": [16, 16]})
    made = make_algorithm(algorithm, SPACES, config.algorithm_config(), 0)
    policy = made.sac.actor.to_numpy(1.0, 0) if algorithm == "rlpd" else made.policy()
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(5, INPUTS))
    action = exported(policy).act(observation)
    tensors = {name: torch.from_numpy(array) for name, array in policy.tensors().items()}
    x = (torch.from_numpy(observation) - tensors["shift"]) / tensors["scale"]
    count = sum(name.startswith("weight_") for name in tensors)
    for i in range(count):
        x = x @ tensors[f"weight_{i}"] + tensors[f"bias_{i}"]
        if i < count - 1:
            x = torch.relu(x) if algorithm == "rlpd" else torch.tanh(x)
    if algorithm == "rlpd":
        x = torch.tanh(x[:, : task.spaces.action])
    np.testing.assert_allclose(action, x.numpy(), rtol=0, atol=TOLERANCE)


def test_another_kind_of_policy_is_refused_by_name():
    class StrangePolicy:
        version = 1

    with pytest.raises(BadRun, match=r"StrangePolicy cannot be exported.*GaitPolicy"):
        to_onnx(StrangePolicy(), SPACES)


def test_a_policy_from_a_file_survives_the_way_of_a_message():
    policy = exported(gaussian(np.random.default_rng(0)))
    again = policy_from_tensors(policy.tensors(), 3, SPACES)
    observation = np.ones((2, INPUTS))
    np.testing.assert_array_equal(again.act(observation), policy.act(observation))
    assert not again.noise(np.random.default_rng(0), 5).any()
    other = make_task("pose").spaces
    with pytest.raises(BadRun, match="sizes"):
        policy_from_tensors(policy.tensors(), 3, other)


def test_bytes_that_are_no_policy_are_refused():
    for content in (b"", b"x" * 100):
        with pytest.raises(BadRun, match="no ONNX file"):
            OnnxPolicy(content, 0)
    with pytest.raises(BadRun, match="no ONNX file"):
        policy_from_tensors({"onnx_file": np.zeros(3)}, 0, SPACES)
