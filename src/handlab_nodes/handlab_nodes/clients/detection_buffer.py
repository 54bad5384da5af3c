"""A camera's detections, collected until somebody asks for an estimate.

In lockstep the camera answers every reading of the fixture, and says when it has told all it saw
by then: only then the estimate of that stamp is made. In real pace what has come counts.
"""

from collections import deque
from collections.abc import Callable

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node

from handlab_core.errors import BadConfig
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.estimation.follower import DetectionFilter
from handlab_core.objects.fixture import Fixture
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.inbox import Inbox

REMEMBERED = 100
"""Questions and detections kept for later; far more than come between two answers."""


def axis_view(
    fixture: Fixture, position: tuple[float, ...], orientation: tuple[float, ...]
) -> AxisView:
    """Return the axis of an object in the frame of a camera.

    Args:
        fixture: whose object is seen.
        position: (3) m; of the camera in the frame `world`.
        orientation: (4) quaternion wxyz; of the camera in the frame `world`.

    Raises:
        BadConfig: the pose is no pose.
    """
    if len(position) != 3 or len(orientation) != 4:
        raise BadConfig(f"a camera's pose is 3 and 4 numbers (wxyz), not {(position, orientation)}")
    x, y, z = position
    a, b, c, d = orientation
    return AxisView.of_fixture(fixture).seen_from((x, y, z), (a, b, c, d))


class Detections:
    """Turns detections into estimates.

    Args:
        node: owns the subscription.
        estimator: filters the detections.
        pace: `lockstep` or `real`.
        answer: called with each estimate, once for each stamp that is asked for.
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
        """Ask for the estimate at a stamp [s]."""
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
        """Answer what is asked as far as the camera has told all it saw."""
        while self._asked:
            asked = self._asked[0]
            told = [i for i, x in enumerate(self._seen) if isinstance(x, float) and x >= asked]
            if not told:
                return
            self._asked.popleft()
            before = [self._seen.popleft() for _ in range(told[0])]
            self._estimate_at(asked, [d for d in before if isinstance(d, Detection)])

    def _estimate_at(self, stamp: float, seen: list[Detection]) -> None:
        if self._estimate is None:
            self._estimate = self._estimator.start(stamp, seen)
        else:
            self._estimate = self._estimator.update(self._estimate, stamp, seen)
        self._answer(self._estimate)
