"""Laws that hold for every reward of every task."""

import dataclasses

import numpy as np
import pytest

from handlab_core.rewards.terms import Quantities
from handlab_core.tasks import TASKS

VARIANTS = [(name, reward) for name, build in sorted(TASKS.items()) for reward in build().rewards]


def quantities(task, rows, seed=0):
    rng = np.random.default_rng(seed)
    n = task.hand.n
    return Quantities(
        error=rng.uniform(-4, 4, rows) * rng.choice([0.01, 1.0], rows),
        object_velocity=rng.normal(size=rows),
        q=rng.normal(size=(rows, n)),
        qd=rng.normal(size=(rows, n)),
        nominal=task.hand.nominal,
    )


def row(x, i):
    picked = {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
    return Quantities(**{k: v if k == "nominal" else v[i] for k, v in picked.items()})


@pytest.mark.parametrize(("task_name", "reward"), VARIANTS)
def test_a_batch_is_its_rows_and_terms_are_not_negative(task_name, reward):
    task = TASKS.make(task_name)
    batch = quantities(task, 40)
    for term in task.rewards[reward]:
        got = term.function(batch)
        np.testing.assert_array_equal(got, [term.function(row(batch, i)) for i in range(40)])
        assert (got >= 0).all(), term.name


@pytest.mark.parametrize(("task_name", "reward"), VARIANTS)
def test_the_goal_is_the_best_place_to_stand(task_name, reward):
    """If two states differ only in the error, the nearer one has no smaller reward."""
    task = TASKS.make(task_name)
    errors = np.linspace(0, 4, 200)
    still = np.zeros((200, task.hand.n))
    x = Quantities(errors, 0 * errors, still + task.hand.nominal, still, task.hand.nominal)
    total = sum(term.weight * term.function(x) for term in task.rewards[reward])
    assert (np.diff(total) <= 1e-12).all()


def test_robel_by_hand():
    """At error 0.2 with the hand at rest in its pose: -5 * 0.2 + 10 = 9."""
    task = TASKS.make("valve")
    zero = np.zeros((1, 9))
    x = Quantities(np.array([0.2]), zero[:, 0], zero + task.hand.nominal, zero, task.hand.nominal)
    total = sum(term.weight * term.function(x) for term in task.rewards["robel"])
    np.testing.assert_allclose(total, [9.0])
