"""An estimator with its sensor, by name: what follows the object of one simulated robot."""

from collections.abc import Callable
from typing import Protocol

from handlab_core.errors import UnknownName
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.camera import CameraEstimate, CameraEstimator
from handlab_core.estimation.detection import AxisView
from handlab_core.estimation.encoder import EncoderEstimator
from handlab_core.estimation.simulated_camera import SimulatedCamera
from handlab_core.objects.fixture import Fixture


class Follower(Protocol):
    """Follows one object from the fixture's readings."""

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """The estimate at the stamp [s] of a reading of the object's joint [rad]."""
        ...


class EncoderFollower:
    """The encoder on the object's axis; the reading is what it reads."""

    def __init__(self, fixture: Fixture, robot: int) -> None:
        self.estimator = EncoderEstimator()
        self.estimate: AngleEstimate | None = None

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """See `Follower.follow`."""
        if self.estimate is None:
            self.estimate = self.estimator.start(stamp, angle)
        else:
            self.estimate = self.estimator.update(self.estimate, stamp, angle)
        return self.estimate


class CameraFollower:
    """A simulated camera; the reading is the truth, of which it takes pictures."""

    def __init__(self, fixture: Fixture, robot: int) -> None:
        view = AxisView.of_fixture(fixture)
        self.camera, self.estimator = SimulatedCamera(view, robot=robot), CameraEstimator(view)
        self.estimate: CameraEstimate | None = None

    def follow(self, stamp: float, angle: float) -> AngleEstimate:
        """See `Follower.follow`."""
        seen = self.camera.see(stamp, angle)
        if self.estimate is None:
            self.estimate = self.estimator.start(stamp, seen)
        else:
            self.estimate = self.estimator.update(self.estimate, stamp, seen)
        return self.estimate


ENCODER, CAMERA = "encoder", "camera"

ESTIMATORS: dict[str, Callable[[Fixture, int], Follower]] = {
    ENCODER: EncoderFollower,
    CAMERA: CameraFollower,
}
"""Name of an estimator to what follows the object of one robot, by fixture and robot's number."""


def check_estimator(name: str) -> str:
    """The name, if there is such an estimator; else raises UnknownName."""
    if name not in ESTIMATORS:
        raise UnknownName("estimator", name, ESTIMATORS)
    return name
