"""Both estimators against simulated truth, over episodes of a policy that has learned the valve.

Error: estimate minus true angle at every stamp, resets included. Consistency: innovations, in units
of their predicted deviation (NIS), and errors, in units of the stated deviation (NEES), are squared
and averaged; both should be one (Bar-Shalom, Li, Kirubarajan 2001, section 5.4). An object that is
at rest most of the time and then is hit is not what such a filter assumes: so the mean is near one
only if the filter is set for it, and the bounds of a chi-square law are shown to say how far off it
is. Success: of the policy, which learned by the encoder, acting by either.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from handlab.benches.formatting import NOT_YET, with_command
from handlab.benches.result import Bench, Kept, Result, Table
from handlab.experiments import training
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.estimation.angle import AngleEstimate, predict, wrapped
from handlab_core.estimation.camera import CameraEstimator
from handlab_core.estimation.detection import AxisView
from handlab_core.estimation.encoder import EncoderEstimator
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.estimation.simulated_camera import SimulatedCamera
from handlab_core.tasks import Task, make_task
from handlab_core.types import Array, Command, IntArray, Reading
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.evaluation import ON_REQUEST
from handlab_sim.backend import MujocoBackend

LIMIT = 0.1
"""rad; strict tolerance of ROBEL, which the camera must resolve."""

NUM_ENVS, ROUNDS = 10, 5
"""Episodes are their product, with either estimator."""

TWO_SIDED_95 = 1.96
"""Standard deviations of a normal distribution, to which means of many squares tend."""

Track = list[tuple[float, float]]
"""Stamps [s] and true angles [rad] of one robot."""


def measure(seed: int) -> Result:
    """Learn the valve, act by either estimator, filter what happened with both."""
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = training.new_run(
            RunConfig(backend="sim", seed=seed, until="success"), Path(scratch)
        )
        training.train(folder, resume=False)
        saved = checkpoint.load(folder.path)
        task = make_task("valve")
        return figures(task, saved.policy(task), seed)


def figures(task: Task, policy: Policy, seed: int) -> Result:
    """Return the result of a policy that was learned before."""
    details: dict[str, Any] = {"episodes": NUM_ENVS * ROUNDS}
    tracks: list[Track] = []
    for name in sorted(ESTIMATORS):
        success, made = _act(task, policy, seed, name)
        details[name] = success
        tracks += made
    details["encoder"] |= _figures(_encoder_samples(track) for track in tracks)
    view = AxisView.of_fixture(task.fixture)
    details["camera"] |= _figures(_camera_samples(view, i, t) for i, t in enumerate(tracks))
    return Result(details["camera"]["rms_error"], LIMIT, "rad", details)


class _Watched(MujocoBackend):
    """Worlds that remember where their objects truly were."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.hand, task.fixture, NUM_ENVS, threads=2)
        self.tracks: list[Track] = [[(0.0, 0.0)] for _ in range(NUM_ENVS)]

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        reading = super().step(hand, fixture, period, robots)
        rows = range(self.num_envs) if robots is None else robots.tolist()
        stamps, angles = reading.fixture.stamp.tolist(), reading.fixture.q[:, 0].tolist()
        for row, stamp, angle in zip(rows, stamps, angles, strict=True):
            self.tracks[row].append((stamp, angle))
        return reading


def _act(
    task: Task, policy: Policy, seed: int, estimator: str
) -> tuple[dict[str, Any], list[Track]]:
    """Return the success rates by the estimate and by the true angle, and the objects' tracks."""
    backend = _Watched(task)
    env = Env(task, LocalStation(task, backend, estimator))
    estimated, true = [], []
    for first in range(ON_REQUEST, ON_REQUEST + NUM_ENVS * ROUNDS, NUM_ENVS):
        angles: list[Array] = []
        plan = EpisodePlan(seed, range(first, first + NUM_ENVS), deterministic=True)
        keep = partial(_keep_angles, backend, angles)
        done = rollout(env, policy, plan, on_step=keep)
        for i, episode in enumerate(done):
            estimated.append(episode.success)
            errors = np.array([row[i] for row in angles]) - episode.trajectory.goal_angle
            true.append(task.succeeded(errors)[0])
    rates = {"success_rate": float(np.mean(estimated)), "true_success_rate": float(np.mean(true))}
    return rates, backend.tracks


@dataclass
class _Samples:
    """Errors and innovations of one filter along one track."""

    errors: list[float] = field(default_factory=list)
    """rad; estimated minus true angles."""
    nees: list[float] = field(default_factory=list)
    """Squares of the errors, in units of the variance that the filter states."""
    nis: list[float] = field(default_factory=list)
    """Squares of the innovations, in units of the variance that the filter expects."""
    refused: int = 0
    """Number of innovations beyond the filter's gate."""

    def add_estimate(self, estimate: AngleEstimate, truth: float) -> None:
        self.errors.append(estimate.angle - truth)
        self.nees.append(self.errors[-1] ** 2 / estimate.angle_variance)

    def add_innovation(self, distance: float, variance: float, gate: float) -> None:
        """Add an innovation; one beyond the gate comes from something else than the object."""
        if distance * distance > gate * gate * variance:
            self.refused += 1
        else:
            self.nis.append(distance * distance / variance)


def _encoder_samples(track: Track) -> _Samples:
    """Round readings to the ticks of the encoder, which the simulation does not do."""
    estimator, samples = EncoderEstimator(), _Samples()
    config, tick = estimator.config, estimator.config.resolution
    estimate = estimator.start(*track[0])
    for stamp, truth in track[1:]:
        reading = round(truth / tick) * tick
        x = predict(estimate, stamp, config.acceleration)
        variance = x.angle_variance + estimator.noise
        samples.add_innovation(wrapped(reading - x.angle), variance, config.gate)
        estimate = estimator.update(estimate, stamp, reading)
        samples.add_estimate(estimate, truth)
    return samples


def _camera_samples(view: AxisView, robot: int, track: Track) -> _Samples:
    """Filter a track as a camera of its own sees it; the first detection begins the samples."""
    camera, estimator, samples = (
        SimulatedCamera(view, robot=robot),
        CameraEstimator(view),
        _Samples(),
    )
    config = estimator.config
    estimate = estimator.start(track[0][0], camera.see(*track[0]))
    for stamp, truth in track[1:]:
        # One at a time, for the innovations; the filter gives the same as for all at once.
        for detection in sorted(camera.see(stamp, truth), key=lambda d: d.stamp):
            held = estimate.track.held
            if held is not None and held.stamp < detection.stamp and estimator.sees(detection):
                x = predict(held, detection.stamp, config.acceleration, config.decay)
                samples.add_innovation(*estimator.innovation(x, detection), config.gate)
            estimate = estimator.update(estimate, stamp, [detection])
        estimate = estimator.update(estimate, stamp, [])
        if estimate.track.held is not None:
            samples.add_estimate(estimate, truth)
    return samples


def _keep_angles(backend: MujocoBackend, angles: list[Array], _: object) -> None:
    """Append the true angles of all objects."""
    angles.append(backend.read().fixture.q[:, 0])


def _figures(tracks: Iterator[_Samples]) -> dict[str, Any]:
    every = list(tracks)
    errors, nees, nis = (
        np.concatenate([getattr(samples, name) for samples in every])
        for name in ("errors", "nees", "nis")
    )
    width = TWO_SIDED_95 * np.sqrt(2.0 / len(nis))  # a mean of chi-squares of one degree each
    refused = sum(samples.refused for samples in every)
    return {
        "rms_error": float(np.sqrt(np.mean(errors**2))),
        "p99_error": float(np.percentile(np.abs(errors), 99)),
        "max_error": float(np.abs(errors).max()),
        "nis": float(nis.mean()),
        "nis_bounds_95": [float(1.0 - width), float(1.0 + width)],
        "nis_inside_95": float(np.mean(nis <= TWO_SIDED_95**2)),
        "nees": float(nees.mean()),
        "innovations": len(nis),
        "refused": refused,
    }


ESTIMATED = (
    ("rms_error", "{:.2g} rad", "error, root mean square"),
    ("p99_error", "{:.2g} rad", "error, 99th percentile"),
    ("max_error", "{:.2g} rad", "error, largest"),
    ("nis", "{:.2f}", "innovations squared, normalised (1 expected)"),
    ("nis_inside_95", "{:.0%}", "innovations within the 95 % bound"),
    ("nees", "{:.2f}", "errors squared, normalised (1 expected)"),
    ("success_rate", "{:.0%}", "success by the estimate"),
    ("true_success_rate", "{:.0%}", "success by the true angle"),
)
"""Quantities of the table: key, format, text."""


def estimators_table(result: Kept | None) -> str:
    """Return the errors of the estimators, one row for each quantity."""
    if result is None:
        return NOT_YET
    kinds = ("encoder", "camera")
    rows = [f"| | {' | '.join(kinds)} |", "|---" * 3 + "|"]
    for name, form, text in ESTIMATED:
        rows.append(f"| {text} | {' | '.join(form.format(result[k][name]) for k in kinds)} |")
    return with_command(rows, result)


BENCH = Bench(measure, tables=(Table("estimators", estimators_table),))
