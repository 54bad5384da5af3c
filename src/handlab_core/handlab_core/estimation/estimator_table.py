"""Estimators by name: how each follows the object of one robot, in a simulation and in a graph.

An estimator is one file of this package. The file registers an `EstimatorSpec`; no other file names
the estimator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.objects.fixture import Fixture
from handlab_core.system.registry import Registry


class Follower(Protocol):
    """Estimates the state of one object from readings of its joint."""

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """Return the estimate at the stamp of a reading.

        Args:
            stamp: s.
            angle: rad; reading of the object's joint.
        """
        ...


class DetectionFilter(Protocol):
    """Estimates the state of one object from a camera's detections."""

    def start(self, stamp: float, detections: Sequence[Detection] = ()) -> Any:
        """Return the first estimate, at a time [s]."""
        ...

    def update(self, estimate: Any, stamp: float, detections: Sequence[Detection]) -> Any:
        """Return the estimate at a time [s], from the one before and the detections since then."""
        ...


@dataclass(frozen=True)
class EstimatorSpec:
    """One estimator with its sensor."""

    follower: Callable[[Fixture, int], Follower]
    """Builds the follower of one robot's object, by fixture and number of the robot. If the sensor
    is a camera the follower simulates it: then the readings are the true angle."""
    detection_filter: Callable[[AxisView], DetectionFilter] | None = None
    """Builds the filter of a camera's detections; None: the sensor is the encoder."""


ESTIMATORS: Registry[EstimatorSpec] = Registry("estimator")

ENCODER = "encoder"
"""Name of the default estimator."""
