"""Detections of a camera, buffered until an estimate is requested.

In lockstep the camera answers every reading of the fixture and closes each answer with an empty
detection. Then the estimate of that stamp is made. In real pace an estimate uses the detections
that have arrived.
"""

from collections import deque
from collections.abc import Callable

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node

from handlab_core.errors import BadConfig
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.estimation.estimator_table import DetectionFilter
from handlab_core.objects.fixture import Fixture
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.inbox import Inbox

REMEMBERED = 100
"""Requests and detections; size of each buffer. Far fewer arrive between two answers."""


def axis_view(
    fixture: Fixture, position: tuple[float, ...], orientation: tuple[float, ...]
) -> AxisView:
    """Return the axis of an object in the frame of a camera.

    Args:
        fixture: fixture of the seen object.
        position: m; (3), position of the camera in the frame `world`.
        orientation: (4), orientation of the camera in the frame `world`; quaternion wxyz.

    Raises:
        BadConfig: a part of the pose has another number of elements.
    """
    if len(position) != 3 or len(orientation) != 4:
        raise BadConfig(f"a camera's pose is 3 and 4 numbers (wxyz), not {(position, orientation)}")
    x, y, z = position
    a, b, c, d = orientation
    return AxisView.of_fixture(fixture).seen_from((x, y, z), (a, b, c, d))


class Detections:
    """Turns detections into estimates.

    Args:
        node: owner of the subscription.
        estimator: filter of the detections.
        pace: `lockstep` or `real`.
        answer: called with the estimate of each requested stamp.
    """

    def __init__(
        self,
        node: Node,
        estimator: DetectionFilter,
        pace: str,
        answer: Callable[[AngleEstimate], None],
    ) -> None:
        self._estimator, self._answer = estimator, answer
        self._waits = pace == "lockstep"
        self._estimate: AngleEstimate | None = None
        self._asked: deque[float] = deque(maxlen=REMEMBERED)
        self._seen: deque[Detection | float] = deque(maxlen=REMEMBERED)
        profile = qos.STREAM if self._waits else qos.SENSOR
        kind = PoseWithCovarianceStamped
        read = convert.decoder(kind, convert.detection)
        Inbox.of(node).subscribe(kind, topics.DETECTIONS, read, self._on_detection, profile)

    def ask(self, stamp: float) -> None:
        """Request the estimate at a stamp [s]."""
        if self._waits:
            self._asked.append(stamp)
            self._answer_all()
        else:
            self._estimate_at(stamp, [d for d in self._seen if isinstance(d, Detection)])
            self._seen.clear()

    def _on_detection(self, detection: Detection | float) -> None:
        self._seen.append(detection)
        if self._waits:
            self._answer_all()

    def _answer_all(self) -> None:
        """Answer the requests whose detections are complete."""
        while self._asked:
            asked = self._asked[0]
            closed = [i for i, x in enumerate(self._seen) if isinstance(x, float) and x >= asked]
            if not closed:
                return
            self._asked.popleft()
            before = [self._seen.popleft() for _ in range(closed[0])]
            self._estimate_at(asked, [d for d in before if isinstance(d, Detection)])

    def _estimate_at(self, stamp: float, seen: list[Detection]) -> None:
        if self._estimate is None:
            self._estimate = self._estimator.start(stamp, seen)
        else:
            self._estimate = self._estimator.update(self._estimate, stamp, seen)
        self._answer(self._estimate)
