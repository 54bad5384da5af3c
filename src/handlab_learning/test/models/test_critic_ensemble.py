"""The ensemble as one batch is the same as its members, one by one."""

import pytest
import torch
from torch.nn import functional

from handlab_learning.models.critic_ensemble import CriticEnsemble


def alone(critics, member, x):
    """One member, layer by layer."""
    layers = [layer[member] for layer in critics.layers]
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        x = functional.linear(x, weight.T) + bias
        centred = x - x.mean(-1, keepdim=True)
        x = (centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()).relu()
    return (functional.linear(x, layers[-2].T) + layers[-1]).squeeze(-1)


@pytest.fixture
def critics():
    torch.manual_seed(0)
    critics = CriticEnsemble(5, 7, (16, 8))
    for layer in critics.layers:
        torch.nn.init.normal_(layer)
    return critics


def test_the_ensemble_computes_every_member_by_itself(critics):
    x = torch.randn(11, 7)
    values = critics(x)
    assert values.shape == (5, 11)
    for member in range(5):
        torch.testing.assert_close(values[member], alone(critics, member, x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(critics(x, torch.tensor([3, 1])), values[[3, 1]])


def test_members_differ_and_learn_apart(critics):
    x = torch.randn(11, 7)
    critics(x)[2].sum().backward()
    for layer in critics.layers:
        touched = layer.grad.flatten(1).abs().sum(1) > 0
        assert touched.tolist() == [False, False, True, False, False]
