"""A bare ring of rclpy processes that pass one message on.

Arguments: PROCESSES SECONDS INDEX [use_batch_scheduling].
"""

import sys
import time
from typing import Any

import rclpy
from rclpy.experimental import EventsExecutor
from sensor_msgs.msg import JointState

from handlab_core.hands import make_hand
from handlab_core.system.scheduling import use_batch_scheduling


def main() -> None:
    """Pass messages on; the first process starts them off and counts."""
    count, seconds, index = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    rclpy.init()
    node = rclpy.create_node(f"ring_{index}")
    publisher = node.create_publisher(JointState, f"ring_{(index + 1) % count}", 10)
    names = list(make_hand("claw").joints)
    zero = [0.0] * len(names)
    message = JointState(name=names, position=zero, velocity=zero, effort=zero)
    rounds = 0

    def pass_on(_: JointState) -> None:
        nonlocal rounds
        rounds += 1
        publisher.publish(message)

    node.create_subscription(JointState, f"ring_{index}", pass_on, 10)
    executor = EventsExecutor()
    executor.add_node(node)
    if sys.argv[4:] == ["use_batch_scheduling"]:
        use_batch_scheduling()
    if index > 0:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.2)
        return
    while rounds == 0:  # a message may be lost while the others still start
        if publisher.get_subscription_count():
            publisher.publish(message)
        executor.spin_once(timeout_sec=1.0)
    _spin(executor, 1.0)
    before, began = rounds, time.perf_counter()
    _spin(executor, seconds)
    print((rounds - before) / (time.perf_counter() - began))


def _spin(executor: Any, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        executor.spin_once(timeout_sec=0.2)


if __name__ == "__main__":
    main()
