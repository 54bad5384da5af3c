"""Spectrum and variance of exploration noise."""

import numpy as np
import pytest

from handlab_core.environment.noise import PINK, WHITE, colored_noise


@pytest.mark.parametrize("steps", [60, 61])
@pytest.mark.parametrize("exponent", [WHITE, PINK, 2.0])
def test_the_power_of_noise_falls_with_frequency_as_its_exponent_says(steps, exponent):
    rng = np.random.default_rng(0)
    noise = np.stack([colored_noise(rng, steps, 9, exponent) for _ in range(400)])
    assert noise.shape == (400, steps, 9)
    power = np.square(np.abs(np.fft.rfft(noise, axis=1))).mean((0, 2))
    frequency = np.fft.rfftfreq(steps)
    slope, _ = np.polyfit(np.log(frequency[1:-1]), np.log(power[1:-1]), 1)
    assert slope == pytest.approx(-exponent, abs=0.05)
    assert power[0] == pytest.approx(power[1], rel=0.1)  # the constant part has as much


@pytest.mark.parametrize("exponent", [WHITE, PINK, 2.0])
def test_noise_has_unit_variance_in_every_step_and_independent_columns(exponent):
    rng = np.random.default_rng(1)
    noise = np.stack([colored_noise(rng, 60, 2, exponent) for _ in range(4000)])
    np.testing.assert_allclose(noise.var(axis=0), 1.0, atol=0.12)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert (noise[:, :, 0] * noise[:, :, 1]).mean() == pytest.approx(0.0, abs=0.05)


def test_white_noise_is_uncorrelated_and_pink_noise_is_not():
    rng = np.random.default_rng(2)
    for exponent, low, high in ((WHITE, -0.03, 0.03), (PINK, 0.4, 0.9)):
        noise = np.stack([colored_noise(rng, 60, 4, exponent) for _ in range(500)])
        assert low < (noise[:, 1:] * noise[:, :-1]).mean() < high
