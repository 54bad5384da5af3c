"""The camera filter against simulated truth, and the simulated camera against its own figures."""

import math
from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.estimation import quaternions
from handlab_core.estimation.angle import AngleEstimate, predict
from handlab_core.estimation.camera import CameraConfig, CameraEstimator, CameraFollower, Track
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.estimation.simulated_camera import (
    SimulatedCamera,
    SimulatedCameraConfig,
    detect,
)
from handlab_core.objects.fixture import FIXTURES

VIEW = AxisView(
    axis=(0.6, 0.0, 0.8),
    centre=(0.1, -0.2, 0.5),
    zero=quaternions.about((0.0, 1.0, 0.0), 0.7),
)
PERFECT = SimulatedCameraConfig(
    jitter=0.0, orientation_noise=1e-6, position_noise=1e-6, miss=0.0, outlier=0.0, wrong=0.0
)


def follow(angle_at, camera=None, estimator=None, dt=0.1, steps=200):
    """Estimates and truths at the stamps of a motion."""
    camera = camera or SimulatedCamera(VIEW)
    estimator = estimator or CameraEstimator(VIEW)
    estimates, truths = [], []
    for i in range(steps):
        stamp, angle = i * dt, float(angle_at(i * dt))
        seen = camera.see(stamp, angle)
        if not estimates:
            estimates.append(estimator.start(stamp, seen))
        else:
            estimates.append(estimator.update(estimates[-1], stamp, seen))
        truths.append(angle)
    return estimates, np.array(truths)


def errors(estimates, truths):
    return np.array([e.angle for e in estimates]) - truths


def pose(stamp, angle, view=VIEW):
    sharp = replace(PERFECT, orientation_noise=0.02, position_noise=0.001)
    clean = detect(view, PERFECT, stamp, angle, np.random.default_rng(0))
    noisy = detect(view, sharp, stamp, angle, np.random.default_rng(0))
    return replace(clean, covariance=noisy.covariance)


def moving(angle=0.0, velocity=0.0, stamp=0.0):
    return AngleEstimate(stamp, angle, velocity, 1e-4, 1e-2, 0.0, 0)


@pytest.mark.parametrize("angle", [-3.1, -1.0, 0.0, 0.4, 2.0, 3.1])
def test_the_angle_of_a_pose_is_the_objects_from_wherever_it_is_seen(angle):
    assert VIEW.angle(pose(0.0, angle)) == pytest.approx(angle, abs=1e-5)
    here = quaternions.about((0.0, 0.6, 0.8), 2.2)
    seen = VIEW.seen_from((1.0, 2.0, 3.0), here)
    assert seen.angle(pose(0.0, angle, seen)) == pytest.approx(angle, abs=1e-5)
    back = quaternions.rotate(here, seen.centre)
    np.testing.assert_allclose(np.add(back, (1.0, 2.0, 3.0)), VIEW.centre, atol=1e-12)
    turned = quaternions.multiply(quaternions.about(VIEW.axis, angle), VIEW.zero)
    expected = quaternions.multiply(quaternions.inverse(here), turned)
    got = quaternions.multiply(quaternions.about(seen.axis, angle), seen.zero)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_rotation_is_its_swing_after_its_twist():
    rng = np.random.default_rng(0)
    for twist, tilt in rng.uniform((-3, 0), (3, 3), (20, 2)):
        q = quaternions.multiply(
            quaternions.about((1.0, 0.0, 0.0), tilt), quaternions.about((0.0, 0.0, 1.0), twist)
        )
        assert quaternions.twist(q, (0.0, 0.0, 1.0)) == pytest.approx(twist)
        assert quaternions.swing(q, (0.0, 0.0, 1.0)) == pytest.approx(tilt)


def test_an_object_at_rest_is_found_without_bias_and_as_well_as_the_filter_says():
    estimates, truths = follow(lambda t: 1.2, steps=400)
    off = errors(estimates, truths)[20:]
    assert abs(off.mean()) < 0.01 and np.sqrt(np.mean(off**2)) < 0.06
    assert np.mean(off**2) < np.mean([e.angle_variance for e in estimates[20:]])


def test_latency_does_not_show_in_a_steady_motion():
    """At 2 rad/s a picture is 0.1 rad old when it arrives; the estimate is carried on."""
    config = CameraConfig(decay=1e3)
    camera = SimulatedCamera(VIEW, PERFECT)
    estimates, truths = follow(lambda t: 2.0 * t, camera, CameraEstimator(VIEW, config))
    assert np.abs(errors(estimates, truths)[10:]).max() < 5e-3
    assert estimates[-1].angle > 2 * math.pi  # turns are counted
    stale = np.array([e.track.held.angle for e in estimates[10:]]) - truths[10:]
    assert stale.max() < -0.09


def test_a_tenth_of_the_pictures_missing_or_wrong_is_survived():
    wild = SimulatedCameraConfig(miss=0.1, outlier=0.05, wrong=0.05)
    estimates, truths = follow(lambda t: 1.5 * math.sin(t), SimulatedCamera(VIEW, wild), steps=600)
    off = np.abs(errors(estimates, truths)[20:])
    assert np.sqrt(np.mean(off**2)) < 0.1 and off.max() < 1.0


def test_something_elsewhere_or_on_another_axis_is_not_the_object():
    estimator = CameraEstimator(VIEW)
    start = estimator.start(0.0, [pose(0.0, 0.3)])
    moved = replace(pose(0.03, 0.8), position=(0.1, -0.2, 0.55))
    tipped = quaternions.multiply(
        quaternions.about((0.0, 1.0, 0.0), 0.4), pose(0.03, 0.8).orientation
    )
    blind = estimator.update(start, 0.05, [])
    for other in (moved, replace(pose(0.03, 0.8), orientation=tipped)):
        assert estimator.update(start, 0.05, [other]) == blind
    assert estimator.update(start, 0.05, [pose(0.03, 0.8)]) != blind


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_pose_counts_as_missing(bad):
    estimator = CameraEstimator(VIEW)
    start = estimator.start(0.0, [pose(0.0, 0.3)])
    blind = estimator.update(start, 0.05, [])
    good = pose(0.03, 0.3)
    for other in (
        replace(good, orientation=(bad, 0.0, 0.0, 0.0)),
        replace(good, orientation=(2.0, 0.0, 0.0, 0.0)),
        replace(good, position=(0.0, bad, 0.0)),
        replace(good, covariance=(bad, *good.covariance[1:])),
    ):
        assert estimator.update(start, 0.05, [other]) == blind


def test_an_outlier_is_rejected_and_outliers_that_stay_are_the_truth():
    estimator, patience = CameraEstimator(VIEW), CameraConfig().patience
    x = estimator.start(0.0, [pose(0.0, 0.3)])
    for i in range(1, 20):
        x = estimator.update(x, i / 30, [pose(i / 30, 0.3)])
    for i in range(20, 20 + patience):
        assert x.angle == pytest.approx(0.3, abs=0.05)
        x = estimator.update(x, i / 30, [pose(i / 30, 2.3)])
        assert x.rejections in (i - 19, 0)
    assert x.angle == pytest.approx(2.3, abs=0.01) and x.rejections == 0


def test_outliers_that_do_not_agree_are_never_the_truth():
    estimator = CameraEstimator(VIEW)
    x = estimator.start(0.0, [pose(0.0, 0.0)])
    for i in range(1, 9):
        x = estimator.update(x, i / 30, [pose(i / 30, 0.0)])
    for i in range(9, 17):
        x = estimator.update(x, i / 30, [pose(i / 30, 3.0 if i % 2 else -1.7)])
    assert abs(x.angle) < 0.1 and x.rejections == 8


def test_an_older_picture_than_the_newest_used_changes_nothing():
    estimator = CameraEstimator(VIEW)
    x = estimator.start(0.1, [pose(0.05, 0.3)])
    assert estimator.update(x, 0.15, [pose(0.04, 0.9)]) == estimator.update(x, 0.15, [])
    both = [pose(0.08, 0.31), pose(0.12, 0.32)]
    assert estimator.update(x, 0.15, both) == estimator.update(x, 0.15, both[::-1])


def test_nothing_seen_is_said_by_the_variance_and_nothing_is_made_up():
    estimator = CameraEstimator(VIEW)
    x = estimator.start(0.0)
    assert x.track.held is None and x.angle_variance > 3.0 and x.rejections > 0
    x = estimator.update(x, 0.1, [pose(0.05, -2.0)])
    assert x.angle == pytest.approx(-2.0, abs=0.01)
    late = estimator.update(x, 0.2, [pose(-5.0, 1.0), pose(7.0, 1.0)])  # too old; not yet
    assert late == estimator.update(x, 0.2, [])


def test_a_long_silence_of_the_camera_carries_the_estimate_no_further_than_a_while():
    estimator = CameraEstimator(VIEW, CameraConfig(decay=1e3))
    x = replace(estimator.start(0.0, [pose(0.0, 0.0)]), track=Track(moving(7.0, 2.0)))
    for i in range(1, 50):
        x = estimator.update(x, i * 0.1, [])
    assert x.angle == pytest.approx(9.0, abs=0.01)
    again = estimator.update(x, 5.0, [pose(4.95, 1.0)])
    assert again.angle == pytest.approx(1.0 + 2 * math.pi, abs=0.01)  # in the turn it was in
    away = estimator.update(x, 50.0, [pose(49.95, 1.0)])
    assert away.angle == pytest.approx(1.0, abs=0.01)


def test_unknown_covariances_are_replaced_and_known_ones_are_turned_about_the_axis():
    estimator = CameraEstimator(VIEW)
    silent = replace(pose(0.0, 0.2), covariance=(0.0,) * 36)
    start = estimator.start(0.0, [silent])
    assert start.angle_variance == pytest.approx(CameraConfig().orientation_noise ** 2)
    known = np.zeros((6, 6))
    known[:3, :3], known[3:, 3:] = 1e-6 * np.eye(3), np.diag([1e-4, 4e-4, 9e-4])
    known[3, 5] = known[5, 3] = 2e-4
    x = estimator.start(0.0, [replace(silent, covariance=tuple(known.ravel()))])
    expected = np.array(VIEW.axis) @ known[3:, 3:] @ np.array(VIEW.axis)
    assert x.angle_variance == pytest.approx(expected)


@pytest.mark.parametrize("decay", [0.05, 0.2, 5.0])
def test_predicting_twice_is_predicting_once(decay):
    """The law of a Markov process, of mean and covariance."""
    start = AngleEstimate(0.0, 0.3, -2.0, 0.01, 0.5, -0.02, 0)
    once = predict(start, 0.4, 30.0, decay)
    twice = predict(predict(start, 0.13, 30.0, decay), 0.4, 30.0, decay)
    for name in ("angle", "velocity", "angle_variance", "velocity_variance", "covariance"):
        assert getattr(once, name) == pytest.approx(getattr(twice, name), rel=1e-9)


def test_a_slow_decay_is_none():
    start = AngleEstimate(0.0, 0.3, -2.0, 0.01, 0.5, -0.02, 0)
    plain, slow = predict(start, 0.1, 30.0), predict(start, 0.1, 30.0, 1e4)
    for name in ("angle", "velocity", "angle_variance", "velocity_variance", "covariance"):
        assert getattr(plain, name) == pytest.approx(getattr(slow, name), rel=1e-3)


def test_innovations_of_the_filters_own_model_have_variance_one():
    rng, config = np.random.default_rng(1), CameraConfig(gate=50.0)
    estimator, dt = CameraEstimator(VIEW, config), 1 / 30
    camera = replace(PERFECT, orientation_noise=0.02, position_noise=0.001)
    zero = AngleEstimate(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    step = predict(zero, dt, config.acceleration, config.decay)
    noise = [[step.angle_variance, step.covariance], [step.covariance, step.velocity_variance]]
    chol, angle, velocity = np.linalg.cholesky(noise), 0.0, 0.0
    x, squared = estimator.start(0.0, [detect(VIEW, camera, 0.0, 0.0, rng)]), []
    for i in range(1, 3000):
        moved = predict(replace(zero, angle=angle, velocity=velocity), dt, 0.0, config.decay)
        angle, velocity = np.array([moved.angle, moved.velocity]) + chol @ rng.normal(size=2)
        seen = detect(VIEW, camera, i * dt, angle, rng)
        held = predict(x.track.held, seen.stamp, config.acceleration, config.decay)
        distance, variance = estimator.innovation(held, seen)
        squared.append(distance**2 / variance)
        x = estimator.update(x, i * dt, [seen])
    assert np.mean(squared[100:]) == pytest.approx(1.0, abs=0.08)


def test_the_camera_has_the_figures_of_its_configuration():
    config, rng = SimulatedCameraConfig(), np.random.default_rng(0)
    seen = [detect(VIEW, config, 0.0, 0.5, rng) for _ in range(6000)]
    found = [d for d in seen if d is not None]
    assert 1 - len(found) / len(seen) == pytest.approx(config.miss, abs=0.01)
    off = np.array([VIEW.angle(d) - 0.5 for d in found])
    near = np.abs(off) < 0.1
    assert 1 - near.mean() == pytest.approx(config.outlier + config.wrong, abs=0.01)
    assert off[near].std() == pytest.approx(config.orientation_noise, rel=0.05)
    elsewhere = np.array([VIEW.tilt(d) > 0.2 or VIEW.offset(d) > 0.01 for d in found])
    assert elsewhere.mean() == pytest.approx(config.wrong, abs=0.005)


def test_detections_come_at_the_cameras_rate_and_late():
    camera = SimulatedCamera(VIEW, replace(PERFECT, latency=0.05, rate=30.0))
    seen = [(i * 0.1, d) for i in range(101) for d in camera.see(i * 0.1, 0.1 * i)]
    assert len(seen) == 300 - 1  # ten seconds; the last picture is still on its way
    for stamp, d in seen:
        assert stamp - 0.1 - 0.05 - 1e-6 <= d.stamp <= stamp - 0.05 + 1e-6
        assert VIEW.angle(d) == pytest.approx(math.remainder(d.stamp, 2 * math.pi), abs=1e-4)


def test_a_camera_that_is_started_again_sees_the_same():
    one, other = SimulatedCamera(VIEW, robot=2), SimulatedCamera(VIEW, robot=2)
    whole = [d for i in range(60) for d in one.see(i * 0.1, 0.02 * i)]
    late = [d for i in range(20, 60) for d in other.see(i * 0.1, 0.02 * i)]
    assert late[-90:] == whole[-90:]
    assert [
        d for i in range(60) for d in SimulatedCamera(VIEW, robot=3).see(i * 0.1, 0.02 * i)
    ] != (whole)


def test_who_was_placed_by_hand_is_seen_where_he_was_put():
    follower = CameraFollower(FIXTURES.make("valve"), 0)
    for i in range(20):
        follower.follow(i * 0.1, 0.0)
    assert follower.follow(12.0, 1.0).angle == pytest.approx(1.0, abs=0.1)


def test_impossible_cameras_and_views_are_refused():
    with pytest.raises(BadConfig, match="together at most 1"):
        SimulatedCameraConfig(miss=0.7, wrong=0.7)
    with pytest.raises(BadConfig, match="positive rate"):
        SimulatedCameraConfig(rate=0.0)
    with pytest.raises(BadConfig, match="length 1"):
        AxisView(axis=(0.0, 0.0, 2.0))
    with pytest.raises(BadConfig, match="wxyz"):
        AxisView().seen_from((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    with pytest.raises(UnknownName, match="camera, encoder"):
        ESTIMATORS.make("sonar")


def test_a_detection_is_a_value():
    a = Detection(0.0, (0.0, 0.0, 0.0), quaternions.IDENTITY, (0.0,) * 36)
    assert a == replace(a) and hash(a) == hash(replace(a))
