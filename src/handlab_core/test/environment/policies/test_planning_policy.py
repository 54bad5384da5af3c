"""Planning: it finds the best action of a known model, and survives a file."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from handlab_core.environment.policies.planning_policy import (
    DynamicsEnsemble,
    Planner,
    PlanningPolicy,
)
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.errors import BadConfig, BadRun
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces, StateForm


def reward(observation, change):
    """The position must be 0.5."""
    return -np.square(observation[..., 0] - 0.5)


FORM = StateForm((0,), (0,))
SPACES = Spaces(2, 1, 20, form=FORM, reward=reward)


def integrator(members=2):
    """Models of a position that moves by 0.2 u in a step, through one layer."""
    weight = np.zeros((members, 3, 1), dtype=np.float32)
    weight[:, 2, 0] = 0.2
    one = np.ones(1, dtype=np.float32)
    bias = np.zeros((members, 1), dtype=np.float32)
    return DynamicsEnsemble((weight,), (bias,), np.zeros(3, np.float32), np.ones(3, np.float32),
                            0 * one, one)  # fmt: skip


@pytest.fixture
def policy():
    return PlanningPolicy(integrator(), Planner(7, 200, 10.0, 0.7, 0.5), FORM, 1, reward, 3)


def test_a_plan_reaches_the_goal_of_a_known_model_and_stays(policy):
    acting, position, path = policy.begin(), 0.0, []
    for _ in range(15):
        action = acting.act(np.array([[position, 9.0]]))
        position += 0.2 * float(action[0, 0])
        path.append(position)
    assert path[0] > 0.1  # at once, with nearly the full speed
    np.testing.assert_allclose(path[6:], 0.5, atol=0.06)


def test_returns_are_the_mean_over_the_models_of_the_sums_of_rewards(policy):
    weights = integrator().weights[0].copy()
    weights[1] *= 2.0
    models = DynamicsEnsemble((weights,), *(getattr(integrator(), n) for n in (
        "biases", "shift", "scale", "out_shift", "out_scale")))  # fmt: skip
    two = PlanningPolicy(models, Planner(2, 5, 1.0, 1.0, 0.5), FORM, 1, reward, 0)
    plans = np.array([[[1.0]], [[0.5]]])  # two steps of one plan
    got = two.returns(plans, np.array([0.1, 0.0]), np.zeros(2))
    slow, fast = (0.3, 0.4), (0.5, 0.7)
    expected = np.mean([-sum((p - 0.5) ** 2 for p in path) for path in (slow, fast)])
    np.testing.assert_allclose(got, [expected], rtol=1e-5)


def test_a_change_is_part_of_the_state_of_the_models():
    """A model that repeats the last change: a moving position goes on."""
    weight = np.zeros((1, 3, 1), dtype=np.float32)
    weight[0, 1, 0] = 1.0
    base = integrator(1)
    models = DynamicsEnsemble((weight,), base.biases, base.shift, base.scale, base.out_shift,
                              base.out_scale)  # fmt: skip
    policy = PlanningPolicy(models, Planner(3, 5, 1.0, 1.0, 0.5), FORM, 1, reward, 0)
    got = policy.returns(np.zeros((3, 1, 1)), np.array([0.2, 0.0]), np.array([0.1, 0.0]))
    np.testing.assert_allclose(got, [-(0.2**2 + 0.1**2 + 0.0)], rtol=1e-4)


def test_each_robot_plans_as_if_it_were_alone(policy):
    seen = np.array([[0.0, 0.0], [0.9, 0.0]])
    both, alone = policy.begin(), [policy.begin(), policy.begin()]
    for _ in range(3):
        together = both.act(seen)
        for row, acting in enumerate(alone):
            np.testing.assert_array_equal(acting.act(seen[row : row + 1])[0], together[row])
    assert together[0, 0] > 0 > together[1, 0]


def test_an_episode_begins_with_a_new_plan(policy):
    acting = policy.begin()
    first = acting.act(np.zeros((1, 2)))
    acting.act(np.zeros((1, 2)))
    np.testing.assert_array_equal(acting.begin().act(np.zeros((1, 2))), first)


def deep():
    """Models of two layers."""
    rng, one = np.random.default_rng(0), np.ones(1, np.float32)
    shapes = (2, 3, 5), (2, 5, 1)
    weights = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
    biases = tuple(rng.normal(size=(2, n)).astype(np.float32) for n in (5, 1))
    return DynamicsEnsemble(weights, biases, np.zeros(3, np.float32), np.ones(3, np.float32),
                            0 * one, one)  # fmt: skip


@pytest.mark.parametrize("models", [integrator(), deep()], ids=["one layer", "two layers"])
def test_a_planner_survives_a_file_bit_for_bit(policy, models):
    policy = replace(policy, models=models)
    after = policy_from_tensors(policy.tensors(), 3, SPACES)
    assert isinstance(after, PlanningPolicy) and after.planner == policy.planner
    one, two = policy.begin(), after.begin()
    for position in (0.0, 0.2, 0.4):
        seen = np.array([[position, 0.0]])
        np.testing.assert_array_equal(one.act(seen), two.act(seen))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"planner_moving": None}, "p lacks planner_moving"),
        ({"log_std": np.zeros(2)}, "has 'log_std', which no planner has"),
        ({"weight_0": np.zeros((2, 2, 1))}, "weight_0 of p has shape"),
        ({"bias_0": np.zeros(1)}, "of p has shape"),
        ({"planner_elements": np.array([7.0])}, "planner_elements of p holds 7"),
        ({"planner_moving": np.array([1.0])}, "planner_moving of p holds elements"),
        ({"planner": np.array([7.5, 200, 10, 0.7, 0.5])}, "planner of p holds 7.5"),
        ({"planner": np.array([7, 2e5, 10, 0.7, 0.5])}, "planner of p holds 7, 200000"),
        ({"planner": np.array([7, 200, 10, 1.7, 0.5])}, "beta at most 1"),
        ({"scale": np.zeros(3)}, "scale of p holds 0"),
    ],
)
def test_tensors_of_no_planner_are_refused_by_name(policy, change, message):
    tensors = {n: t for n, t in (policy.tensors() | change).items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")


def test_a_task_whose_reward_is_not_known_is_refused(policy):
    with pytest.raises(BadConfig, match="reward"):
        policy_from_tensors(policy.tensors(), 0, Spaces(2, 1, 20, form=FORM), "p")


def test_a_plan_of_the_published_size_takes_little_beside_its_predictions():
    """Three networks of 2 x 250, 7 steps, 700 samples: what a plan costs is products of matrices.

    Compared in one process, since how long either takes depends on the machine and its threads.
    """
    spaces, rng = make_task("valve").spaces, np.random.default_rng(0)
    form = spaces.state_form
    sizes = (form.size + 9, 250, 250, len(form.elements))
    weights = [0.1 * rng.normal(size=(3, a, b)).astype(np.float32)
               for a, b in pairwise(sizes)]  # fmt: skip
    biases = [np.zeros((3, b), dtype=np.float32) for b in sizes[1:]]
    units = [np.full(n, v, dtype=np.float32) for n, v in
             ((sizes[0], 0), (sizes[0], 1), (sizes[-1], 0), (sizes[-1], 1))]  # fmt: skip
    models = DynamicsEnsemble(tuple(weights), tuple(biases), *units)
    policy = PlanningPolicy(models, Planner(7, 700, 10.0, 0.7, 0.5), form, 9, spaces.reward, 0)
    acting, inputs = policy.begin(), np.zeros((3, 700, sizes[0]), dtype=np.float32)
    plans, predictions = [], []
    for _ in range(8):
        began = time.process_time()
        acting.act(np.zeros((1, 21)))
        planned = time.process_time()
        for _ in range(7):
            models.changes(inputs)
        plans.append(planned - began)
        predictions.append(time.process_time() - planned)
    assert min(plans) < 2.0 * min(predictions)
