"""A policy, its tensors and its layout."""

import numpy as np
import pytest

from handlab_core.environment.policies.policy import GaussianPolicy, check_layout, layout_json
from handlab_core.errors import BadRun, LayoutMismatch
from handlab_core.tasks import make_task


def policy(task, seed=0):
    rng = np.random.default_rng(seed)
    n, o = task.hand.n, task.observation_size
    return GaussianPolicy(
        (rng.normal(size=(o, 8)), rng.normal(size=(8, n))),
        (rng.normal(size=8), rng.normal(size=n)),
        np.full(n, -0.5),
        np.zeros(o),
        np.ones(o),
        4,
    )


def test_a_policy_survives_the_way_through_its_tensors():
    task = make_task("valve")
    before = policy(task)
    after = GaussianPolicy.from_tensors(before.tensors(), 4, task.spaces)
    x = np.random.default_rng(1).normal(size=(3, task.observation_size))
    np.testing.assert_array_equal(before.act(x), after.act(x))
    noise = np.ones((3, task.hand.n))
    np.testing.assert_allclose(before.act(x, noise) - before.act(x), np.exp(-0.5))
    tensors = before.tensors()
    del tensors["bias_1"]
    with pytest.raises(BadRun, match="bias_1"):
        GaussianPolicy.from_tensors(tensors, 4, task.spaces)


def test_another_layout_is_refused_with_both():
    task = make_task("valve")
    check_layout(task, layout_json(task.layout), "p")
    with pytest.raises(
        LayoutMismatch, match=r'p reads the observation \[\["x", 3\]\].*"joints", 9'
    ):
        check_layout(task, layout_json((("x", 3),)), "p")
