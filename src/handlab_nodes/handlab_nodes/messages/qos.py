"""Quality of service of every kind of topic, in one place.

A publisher names the kind of its topic; docs/topics.md lists each topic with its kind.

Facts are latched: a goal, a policy, the description of the robot. Streams and commands are not. A
stream publishes its next state anyway; for lockstep see `handlab_nodes.runtime.stream`. A driver
that was restarted must not act on an old command.
"""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

DEPTH = 32
"""Messages. In lockstep more than ROS 2's default of 10 (rmw/qos_profiles.h) may pass while a busy
machine keeps one process waiting, and a mere listener like the recorder would lose some."""

STREAM = QoSProfile(depth=256, reliability=ReliabilityPolicy.RELIABLE)
"""The depth is 2.5 s at the drivers' 100 Hz: a busy machine may keep a listener waiting for longer
than DEPTH messages. It costs nothing, since a message that all listeners have is not kept."""

EVERY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""For a subscriber that needs every message of a stream: quality of service. The depth is ten
seconds at the drivers' 100 Hz: longer than a busy machine keeps a process waiting."""

COMMAND = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
SENSOR = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Compatible with every publisher, also a foreign sensor's."""
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
LATCHED_CHANGES = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""For a latched fact of which each change counts. Both sides need the depth: a message to a
process that stands still is lost, and comes from the publisher's history once the process goes on.
"""
CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
TRANSFORMS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""tf2_ros::DynamicBroadcasterQoS (geometry2, tf2_ros/include/tf2_ros/qos.hpp); static transforms
are LATCHED there."""
REPORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""ROS 2's default."""
EPISODES = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Deep, so that no episode is lost while the learner computes."""
