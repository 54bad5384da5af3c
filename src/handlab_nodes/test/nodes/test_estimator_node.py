"""A detector that is not ours."""

import pytest
import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import JointState

from handlab_core.estimation import quaternions
from handlab_core.estimation.detection import AxisView, Detection
from handlab_core.tasks import make_task
from handlab_interfaces.msg import ObjectState
from handlab_nodes.messages import convert, qos, topics

TASK = make_task("valve")


def test_in_real_pace_a_detector_that_is_not_ours_is_followed_in_its_cameras_frame(graph):
    """It has the name of ours and publishes as others do, not latched, in its camera's frame.

    The camera hangs head down.
    """
    pose = (0.1, 0.0, 0.5), (0.0, 1.0, 0.0, 0.0)
    view = AxisView.of_fixture(TASK.fixture).seen_from(*pose)
    estimator = {
        "estimator": "camera", "pace": "real",
        "camera_position": list(pose[0]), "camera_orientation": list(pose[1]),
    }  # fmt: skip
    nodes = graph("driver", "estimator", driver={"pace": "real"}, estimator=estimator)
    with nodes as (_, node, loop):
        states, estimates = [], []
        named = "--ros-args", "-r", "__node:=camera"
        detector = rclpy.create_node("tag_detector", context=node.context, cli_args=named)
        sent = detector.create_publisher(PoseWithCovarianceStamped, topics.DETECTIONS, 10)
        node.create_subscription(JointState, topics.FIXTURE_STATES, states.append, qos.STREAM)
        node.create_subscription(ObjectState, topics.OBJECT_STATE, estimates.append, qos.STREAM)
        loop.wait(lambda: states and sent.get_subscription_count(), "the estimator")

        def seen():
            stamp = convert.from_stamp(states[-1].header.stamp)
            turned = quaternions.multiply(quaternions.about(view.axis, 0.7), view.zero)
            detection = Detection(stamp, view.centre, turned, (0.0,) * 36)
            sent.publish(convert.detection_msg(detection))
            return estimates and estimates[-1].angle == pytest.approx(0.7, abs=0.02)

        loop.wait(seen, "the angle that was detected", 20)
        detector.destroy_node()
