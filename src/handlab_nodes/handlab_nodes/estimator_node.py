"""Object estimator: fixture readings in, object states out."""

from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import JointState

from handlab_core.estimation.encoder import AngleEstimate, EncoderEstimator
from handlab_core.tasks import make_task
from handlab_interfaces.msg import ObjectState
from handlab_nodes import codec, qos, topics
from handlab_nodes.diagnostics import OK, WARN, Diagnostics
from handlab_nodes.params import read_params
from handlab_nodes.spinner import run


@dataclass(frozen=True)
class EstimatorParams:
    """Parameters of the node."""

    task: str = "valve"


class EstimatorNode(Node):
    """Answers for every stamp of the fixture with an estimate of the same stamp."""

    def __init__(self) -> None:
        super().__init__("estimator")
        params = read_params(self, EstimatorParams())
        self._estimator = EncoderEstimator()
        self._estimate: AngleEstimate | None = None
        self._rejected = self._received = 0
        task = make_task(params.task)
        self._readings, self._states = codec.JointStates([task.fixture.joint]), codec.ObjectStates()
        self._publisher = self.create_publisher(ObjectState, topics.OBJECT_STATE, qos.STREAM)
        self.create_subscription(
            JointState, topics.FIXTURE_STATES, self._on_state, qos.STREAM, raw=True
        )
        self._diagnostics = Diagnostics(self)

    def _on_state(self, data: bytes) -> None:
        reading = self._readings.unpack(data)
        stamp, angle = float(reading.stamp[0]), float(reading.q[0, 0])
        if self._estimate is None:
            self._estimate = self._estimator.start(stamp, angle)
        else:
            self._estimate = self._estimator.update(self._estimate, stamp, angle)
        self._publisher.publish(self._states.pack(self._estimate))
        self._received += 1
        self._rejected += self._estimate.rejections > 0

    def report(self) -> None:
        """Tell how many readings came and how many were refused."""
        level = WARN if self._estimate is not None and self._estimate.rejections else OK
        values = {"readings": self._received, "rejected": self._rejected}
        self._diagnostics.publish(level, "following the object", values)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(EstimatorNode, args)


if __name__ == "__main__":
    main()
