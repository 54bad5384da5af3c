"""A simulated camera above the fixture: readings in, detections out, late and not all of them.

A detector of a real camera takes its place on the same topic; see `docs/estimators.md`.
"""

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from handlab_core.estimation.detection import AxisView
from handlab_core.estimation.simulated_camera import SimulatedCamera
from handlab_core.options import PaceOptions
from handlab_core.system.validation import checked
from handlab_core.types import JointState as JointReading
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.stream import Stream


@checked
class CameraParams(TaskParams, PaceOptions):
    """Parameters of the node."""


class CameraNode(Node):
    """Answers every reading with the detections that arrive by its stamp.

    The last message of an answer is an empty detection with the reading's stamp. In lockstep it
    ends the estimator's wait for detections.
    """

    def __init__(self) -> None:
        super().__init__("camera")
        params = read_params(self, CameraParams())
        fixture = params.make_task().fixture
        self._camera = SimulatedCamera(AxisView.of_fixture(fixture))
        readings = cdr_codec.JointStates([fixture.joint])
        self._publisher = Stream(
            self, PoseWithCovarianceStamped, topics.DETECTIONS, params.pace == "lockstep"
        )
        Inbox.of(self).subscribe(
            JointState, topics.FIXTURE_STATES, readings.unpack, self._on_state, qos.STREAM
        )
        self._sent = 0
        self._diagnostics = Diagnostics(self)

    def _on_state(self, reading: JointReading) -> None:
        stamp = float(reading.stamp[0])
        arrived = self._camera.see(stamp, float(reading.q[0, 0]))
        for detection in arrived:
            self._publisher.publish(convert.detection_msg(detection))
        self._publisher.publish(convert.no_more_msg(stamp))
        self._sent += len(arrived)

    def report(self) -> None:
        """Report the number of published detections."""
        self._diagnostics.publish(OK, "watching the object", {"detections": self._sent})


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(CameraNode, args=args)


if __name__ == "__main__":
    main()
