"""The regulator: Riccati's solution, the bound of the KL divergence, and the dual variable."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from handlab_learning.local_control import lqr
from handlab_learning.local_control.linear_dynamics import LinearDynamics
from handlab_learning.local_control.lqr import LinearController, QuadraticCost

STATES, ACTIONS = 3, 2
SIZE = STATES + ACTIONS
START = np.ones(STATES), 0.1 * np.eye(STATES)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def matrices(rng):
    """A and B of a system, Q and R of a cost."""
    A, B = rng.normal(size=(STATES, STATES)) * 0.6, rng.normal(size=(STATES, ACTIONS))
    root = rng.normal(size=(STATES, STATES))
    return A, B, root @ root.T + np.eye(STATES), np.diag([1.0, 2.0])


def problem(matrices, steps):
    """Dynamics and cost of the same matrices in each step."""
    A, B, Q, R = matrices
    matrix = np.tile(np.hstack((A, B)), (steps, 1, 1))
    noise = np.tile(0.01 * np.eye(STATES), (steps, 1, 1))
    hessian = np.zeros((steps + 1, SIZE, SIZE))
    hessian[:, :STATES, :STATES], hessian[:-1, STATES:, STATES:] = Q, R
    dynamics = LinearDynamics(matrix, np.zeros((steps, STATES)), noise)
    return dynamics, QuadraticCost(hessian, np.zeros((steps + 1, SIZE)))


@pytest.fixture
def short(matrices):
    return problem(matrices, 8)


def still(steps, std=1.0):
    """A controller that does nothing but explore."""
    covariance = np.tile(std**2 * np.eye(ACTIONS), (steps, 1, 1))
    gain = np.zeros((steps, ACTIONS, STATES))
    return LinearController(gain, np.zeros((steps, ACTIONS)), covariance)


def test_a_long_horizon_gives_the_algebraic_riccati_equations_solution(matrices):
    A, B, Q, R = matrices
    P = solve_discrete_are(A, B, Q, R)
    gain = -np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
    controller = lqr.backward(*problem(matrices, 200))
    np.testing.assert_allclose(controller.gain[0], gain, atol=1e-10)
    np.testing.assert_allclose(controller.covariance[0], np.linalg.inv(R + B.T @ P @ B))


def test_a_finite_horizon_gives_riccatis_recursion(matrices):
    A, B, Q, R = matrices
    controller, P = lqr.backward(*problem(matrices, 5)), Q
    for t in reversed(range(5)):
        gain = -np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        np.testing.assert_allclose(controller.gain[t], gain)
        P = Q + A.T @ P @ (A + B @ gain)


def test_an_offset_and_a_target_are_reached(matrices, rng):
    """The optimum of one step with a constant force and a target, by calculus."""
    A, B, Q, R = matrices
    dynamics, cost = problem(matrices, 1)
    force, target = rng.normal(size=STATES), rng.normal(size=STATES)
    gradient = cost.gradient.copy()
    gradient[1, :STATES] = -Q @ target
    dynamics = LinearDynamics(dynamics.matrix, force[None], dynamics.covariance)
    controller = lqr.backward(dynamics, QuadraticCost(cost.hessian, gradient))
    x = rng.normal(size=STATES)
    action = controller.gain[0] @ x + controller.offset[0]
    slope = R @ action + B.T @ Q @ (A @ x + B @ action + force - target)
    np.testing.assert_allclose(slope, 0.0, atol=1e-10)


def test_expected_cost_and_divergence_are_those_of_samples(short, rng):
    dynamics, cost = short
    old, new = still(8), lqr.backward(dynamics, cost)
    at = lqr.forward(dynamics, new, START)
    count = 20_000
    x = rng.multivariate_normal(*START, size=count)
    total, divergence = np.zeros(count), np.zeros(count)
    for t in range(8):
        mean = x @ new.gain[t].T + new.offset[t]
        u = mean + rng.multivariate_normal(np.zeros(ACTIONS), new.covariance[t], size=count)
        z = np.hstack((x, u))
        total += 0.5 * np.einsum("ni,ij,nj->n", z, cost.hessian[t], z)
        for sign, controller, centre in ((1, new, mean), (-1, old, np.zeros_like(u))):
            P = np.linalg.inv(controller.covariance[t])
            squares = np.einsum("ni,ij,nj->n", u - centre, P, u - centre)
            divergence += sign * 0.5 * (np.linalg.slogdet(P)[1] - squares)
        noise = rng.multivariate_normal(np.zeros(STATES), dynamics.covariance[t], size=count)
        x = z @ dynamics.matrix[t].T + noise
    total += 0.5 * np.einsum("ni,ij,nj->n", x, cost.hessian[-1][:STATES, :STATES], x)
    assert lqr.expected_cost(cost, at) == pytest.approx(total.mean(), rel=0.03)
    assert lqr.kl_divergence(new, old, at) == pytest.approx(divergence.mean(), rel=0.03)


@pytest.mark.parametrize("limit", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("first_eta", [1e-6, 1.0, 1e8])
def test_the_kl_bound_is_honoured_and_used(short, limit, first_eta):
    dynamics, cost = short
    found = lqr.improve(dynamics, cost, still(8, std=0.1), START, limit, first_eta)
    at = lqr.forward(dynamics, found.controller, START)
    kl = lqr.kl_divergence(found.controller, still(8, std=0.1), at)
    assert kl == pytest.approx(found.kl)
    assert limit * (1 - lqr.CLOSE) <= kl <= limit
    before = lqr.expected_cost(cost, lqr.forward(dynamics, still(8, std=0.1), START))
    assert found.cost < before


def test_a_larger_bound_gives_a_lower_cost(short):
    costs = [lqr.improve(*short, still(8), START, limit).cost for limit in (0.01, 0.1, 1.0, 10.0)]
    assert costs == sorted(costs, reverse=True)


def test_a_linear_quadratic_problem_is_solved_in_one_iteration(short):
    """With a bound that does not bind, the controller is the optimum."""
    dynamics, cost = short
    found = lqr.improve(dynamics, cost, still(8), START, limit=1e12)
    best = lqr.backward(dynamics, cost)
    np.testing.assert_allclose(found.controller.gain, best.gain, atol=1e-6)
    calm = replace(best, covariance=np.zeros_like(best.covariance))
    optimum = lqr.expected_cost(cost, lqr.forward(dynamics, calm, START))
    assert found.cost == pytest.approx(optimum, rel=1e-6)


def test_a_cost_that_is_not_convex_gets_a_larger_dual_variable(short):
    dynamics, cost = short
    hessian = cost.hessian.copy()
    hessian[:-1, STATES:, STATES:] -= 30 * np.eye(ACTIONS)
    bad = QuadraticCost(hessian, cost.gradient)
    with pytest.raises(np.linalg.LinAlgError):
        lqr.backward(dynamics, bad)
    found = lqr.improve(dynamics, bad, still(8), START, 1.0, eta=1e-4)
    assert found.kl <= 1.0 and found.eta > 1e-4
    assert (np.linalg.eigvalsh(found.controller.covariance) > 0).all()


@pytest.mark.parametrize(
    ("predicted", "actual", "factor"),
    [
        (1.0, 0.5, 1.0),  # half of it came true
        (1.0, 1.0, 5.0),  # all of it: the largest factor
        (1.0, 0.75, 2.0),
        (1.0, -4.0, 0.1),  # it became worse
    ],
)
def test_the_step_grows_with_what_came_true(predicted, actual, factor):
    assert lqr.adapted(0.5, predicted, actual) == pytest.approx(0.5 * factor)


def test_the_step_stays_in_its_bounds():
    assert lqr.adapted(9.0, 1.0, 1.0) == 10.0
    assert lqr.adapted(0.02, 1.0, -9.0) == 0.01
