"""Quality of service of every kind of topic, in one place.

Facts are latched: a goal, a policy, the description of the robot. Streams and commands are not. A
stream's newest state comes by itself, in lockstep as `handlab_nodes.runtime.stream` says; a driver
that was restarted must not act on an old command.
"""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

DEPTH = 32
"""ROS 2's default is 10 (rmw/qos_profiles.h), which in lockstep may pass while a busy machine keeps
one process waiting; who only listens, as the recorder does, would miss some."""

STREAM = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
EVERY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Subscribers of streams that need every message. Ten seconds at the drivers' 100 Hz: longer than a
busy machine keeps a process waiting."""

COMMAND = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
SENSOR = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Whatever a foreign sensor offers is compatible with it."""
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
TRANSFORMS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""tf2_ros::DynamicBroadcasterQoS (geometry2, tf2_ros/include/tf2_ros/qos.hpp); static transforms
are LATCHED there."""
REPORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""ROS 2's default."""
EPISODES = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""None may be lost, whatever the learner is busy with."""
