"""The encoder filter against simulated truth."""

import math

import numpy as np
import pytest

from handlab_core.estimation.angle import TURN
from handlab_core.estimation.encoder import EncoderConfig, EncoderEstimator


def follow(angles, dt=0.1, config=None, start=None):
    estimator = EncoderEstimator(config)
    estimate = estimator.start(0.0, angles[0])
    track = [estimate]
    for i, angle in enumerate(angles[1:], 1):
        track.append(estimator.update(track[-1], i * dt, angle))
    return track


def test_a_turning_object_is_followed_over_many_turns_of_a_single_turn_encoder():
    truth = np.arange(200) * 0.1 * 4.0  # 4 rad/s for 20 s
    track = follow([angle % TURN for angle in truth])
    np.testing.assert_allclose([x.angle for x in track], truth, atol=1e-3)
    assert track[-1].velocity == pytest.approx(4.0, abs=1e-2)


def test_an_outlier_is_rejected_and_the_next_reading_used():
    truth = np.arange(50) * 0.01
    seen = truth.copy()
    seen[30] += 2.0
    track = follow(seen, dt=0.01)
    assert track[30].rejections == 1 and track[31].rejections == 0
    np.testing.assert_allclose([x.angle for x in track], truth, atol=0.02)


def test_outliers_that_stay_are_the_truth():
    patience = EncoderConfig().patience
    track = follow([0.0] * 10 + [2.0] * 10, dt=0.01)
    first = next(i for i, x in enumerate(track) if abs(x.angle - 2.0) < 0.01)
    assert first == 10 + patience - 1


def test_a_missing_reading_is_bridged_by_the_prediction():
    truth = np.arange(40) * 0.1
    seen = truth.copy()
    seen[20] = math.nan
    track = follow(seen)
    assert track[20].rejections == 1
    assert track[20].angle == pytest.approx(truth[20], abs=0.02)
    assert track[20].angle_variance > track[19].angle_variance


def test_a_long_silence_starts_anew():
    estimator = EncoderEstimator()
    estimate = estimator.start(0.0, 0.0)
    moved = estimator.update(estimate, 10.0, 1.5)
    assert (moved.angle, moved.velocity, moved.rejections) == (1.5, 0.0, 0)


def test_errors_are_as_large_as_the_filter_believes():
    """Normalised innovations of the filter's own model have variance one (NIS is chi2(1))."""
    rng = np.random.default_rng(3)
    config = EncoderConfig(acceleration=2.0, resolution=0.05, gate=50.0)
    estimator, dt = EncoderEstimator(config), 0.05
    angle, velocity = 0.0, 0.0
    estimate = estimator.start(0.0, 0.0)
    chol = np.linalg.cholesky(
        config.acceleration * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    )
    squared = []
    for i in range(1, 6000):
        jump = chol @ rng.standard_normal(2)
        angle, velocity = angle + dt * velocity + jump[0], velocity + jump[1]
        seen = angle + math.sqrt(estimator.noise) * rng.standard_normal()
        blind = estimator.update(estimate, i * dt, math.nan)
        squared.append((seen - blind.angle) ** 2 / (blind.angle_variance + estimator.noise))
        estimate = estimator.update(estimate, i * dt, seen)
    assert np.mean(squared[100:]) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("turns", [-3, -1, 0, 2])
def test_whole_turns_of_the_encoder_change_nothing(turns):
    angles = np.cumsum(np.random.default_rng(0).normal(0, 0.1, 60))
    plain, shifted = follow(angles), follow([angles[0], *(angles[1:] + turns * TURN)])
    np.testing.assert_allclose([x.angle for x in plain], [x.angle for x in shifted], atol=1e-9)
