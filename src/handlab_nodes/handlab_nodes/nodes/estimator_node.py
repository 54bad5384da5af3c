"""Object estimator: fixture readings or a camera's detections in, object states out.

With either, every stamp of the fixture's readings is answered by an estimate of that stamp.
"""

from typing import Annotated

from pydantic import Field
from rclpy.node import Node
from sensor_msgs.msg import JointState

from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.estimator_table import ESTIMATORS
from handlab_core.options import EstimatorOptions, PaceOptions
from handlab_core.system.validation import Number, checked
from handlab_core.types import JointState as JointReading
from handlab_interfaces.msg import ObjectState
from handlab_nodes.clients.detection_buffer import Detections, axis_view
from handlab_nodes.messages import cdr_codec, qos, topics
from handlab_nodes.runtime.diagnostics import OK, WARN, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.stream import Stream


@checked
class EstimatorParams(TaskParams, EstimatorOptions, PaceOptions):
    """Parameters of the node."""

    camera_position: Annotated[
        tuple[Number, Number, Number],
        Field(description="m; x, y, z of the camera in the frame `world`"),
    ] = (0.0, 0.0, 0.0)
    camera_orientation: Annotated[
        tuple[Number, Number, Number, Number],
        Field(
            description="orientation of the camera in the frame `world`, as quaternion w, x, y, z; "
            "the default fits detections that are in that frame already"
        ),
    ] = (1.0, 0.0, 0.0, 0.0)


class EstimatorNode(Node):
    """Follows the object by its encoder or by a camera."""

    def __init__(self) -> None:
        super().__init__("estimator")
        params = read_params(self, EstimatorParams())
        task = params.make_task()
        self._rejected = self._answered = 0
        self._estimate: AngleEstimate | None = None
        self._states = cdr_codec.ObjectStates()
        self._publisher = Stream(self, ObjectState, topics.OBJECT_STATE, params.pace == "lockstep")
        spec, on_state = ESTIMATORS.make(params.estimator), self._on_reading
        if spec.detection_filter is None:
            self._follower = spec.follower(task.fixture, 0)
        else:
            view = axis_view(task.fixture, params.camera_position, params.camera_orientation)
            estimator = spec.detection_filter(view)
            self._detections = Detections(self, estimator, params.pace, self._publish)
            on_state = self._on_clock
        read = cdr_codec.JointStates([task.fixture.joint]).unpack
        Inbox.of(self).subscribe(JointState, topics.FIXTURE_STATES, read, on_state, qos.STREAM)
        self._diagnostics = Diagnostics(self)

    def _on_reading(self, reading: JointReading) -> None:
        stamp, angle = float(reading.stamp[0]), float(reading.q[0, 0])
        self._publish(self._follower.follow(stamp, angle))

    def _on_clock(self, reading: JointReading) -> None:
        self._detections.ask(float(reading.stamp[0]))

    def _publish(self, estimate: AngleEstimate) -> None:
        self._publisher.publish(self._states.pack(estimate))
        self._estimate = estimate
        self._answered += 1
        self._rejected += estimate.rejections > 0

    def report(self) -> None:
        """Report the numbers of readings and rejections."""
        level = WARN if self._estimate is not None and self._estimate.rejections else OK
        values = {"readings": self._answered, "rejected": self._rejected}
        self._diagnostics.publish(level, "following the object", values)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(EstimatorNode, args=args)


if __name__ == "__main__":
    main()
