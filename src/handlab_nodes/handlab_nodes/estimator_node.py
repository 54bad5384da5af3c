"""Object estimator: fixture readings or a camera's detections in, object states out.

With either, every stamp of the fixture's readings is answered by an estimate of that stamp.
"""

from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import JointState

from handlab_core.errors import BadConfig
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.encoder import EncoderEstimator
from handlab_core.estimation.follower import CAMERA, ENCODER, check_estimator
from handlab_core.lockstep import PACES
from handlab_core.types import JointState as JointReading
from handlab_interfaces.msg import ObjectState
from handlab_nodes import codec, qos, topics
from handlab_nodes.detections import Detections
from handlab_nodes.diagnostics import OK, WARN, Diagnostics
from handlab_nodes.inbox import Inbox
from handlab_nodes.params import TaskParams, read_params
from handlab_nodes.spinner import run


@dataclass(frozen=True)
class EstimatorParams(TaskParams):
    """Parameters of the node."""

    estimator: str = ENCODER  # or camera
    pace: str = "lockstep"  # in which a camera's answer to every reading is waited for
    # Where the camera stands in the frame `world`; as it is, detections are in that frame already.
    camera_position: tuple[float, ...] = (0.0, 0.0, 0.0)  # m
    camera_orientation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)  # wxyz


class EstimatorNode(Node):
    """Follows the object by its encoder or by a camera."""

    def __init__(self) -> None:
        super().__init__("estimator")
        params = read_params(self, EstimatorParams())
        if params.pace not in PACES:
            raise BadConfig(f"pace is {params.pace!r}; it can be {' or '.join(PACES)}")
        task = params.make_task()
        self._rejected = self._answered = 0
        self._estimate: AngleEstimate | None = None
        self._states = codec.ObjectStates()
        self._publisher = self.create_publisher(ObjectState, topics.OBJECT_STATE, qos.STREAM)
        on_state = self._on_encoder
        if check_estimator(params.estimator) == CAMERA:
            pose = tuple(params.camera_position), tuple(params.camera_orientation)
            self._detections = Detections(self, task.fixture, pose, params.pace, self._publish)
            on_state = self._on_clock
        else:
            self._encoder = EncoderEstimator()
        read = codec.JointStates([task.fixture.joint]).unpack
        Inbox.of(self).subscribe(JointState, topics.FIXTURE_STATES, read, on_state, qos.STREAM)
        self._diagnostics = Diagnostics(self)

    def _on_encoder(self, reading: JointReading) -> None:
        stamp, angle = float(reading.stamp[0]), float(reading.q[0, 0])
        if self._estimate is None:
            self._publish(self._encoder.start(stamp, angle))
        else:
            self._publish(self._encoder.update(self._estimate, stamp, angle))

    def _on_clock(self, reading: JointReading) -> None:
        self._detections.ask(float(reading.stamp[0]))

    def _publish(self, estimate: AngleEstimate) -> None:
        self._publisher.publish(self._states.pack(estimate))
        self._estimate = estimate
        self._answered += 1
        self._rejected += estimate.rejections > 0

    def report(self) -> None:
        """Tell how many readings came and how many were refused."""
        level = WARN if self._estimate is not None and self._estimate.rejections else OK
        values = {"readings": self._answered, "rejected": self._rejected}
        self._diagnostics.publish(level, "following the object", values)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(EstimatorNode, args=args)


if __name__ == "__main__":
    main()
