"""Smooth derivatives and the regression of the first guess."""

import numpy as np
import pytest

from handlab_sim.identification.first_guess import ORDER, SMOOTH_STEP, least_squares, smoothed


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_polynomial_of_the_windows_degree_keeps_its_derivatives(order):
    """Also at both ends."""
    time = SMOOTH_STEP * np.arange(30)
    polynomials = [np.poly1d([2.0, -1.0, 0.5, 3.0]), np.poly1d([-1.0, 0.0, 4.0, 1.0])]
    assert all(polynomial.order == ORDER for polynomial in polynomials)
    values = np.stack([polynomial(time) for polynomial in polynomials], axis=1)
    wanted = np.stack([p.deriv(order)(time) if order else p(time) for p in polynomials], axis=1)
    np.testing.assert_allclose(smoothed(values, order), wanted, atol=1e-7)


def test_noise_becomes_smaller_and_a_mean_stays():
    noise = np.random.default_rng(0).normal(size=(2000, 1))
    smooth = smoothed(1.0 + noise, 0)
    assert smooth.std() < 0.6 * noise.std()
    assert smooth.mean() == pytest.approx(1.0 + noise.mean(), abs=0.01)


def test_coefficients_that_would_be_negative_are_zero_and_the_others_fit_best():
    """Karush, Kuhn and Tucker: no slope at what is positive, none downwards at what is 0."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        terms, wanted = rng.normal(size=(40, 3)), rng.normal(size=40)
        found = least_squares(terms, wanted)
        slope = terms.T @ (terms @ found - wanted)
        assert (found >= 0.0).all()
        np.testing.assert_allclose(slope[found > 0.0], 0.0, atol=1e-9)
        assert (slope[found == 0.0] >= -1e-9).all()
