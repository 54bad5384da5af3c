"""Record demonstrations: the whole graph, without a learner; an action starts the recording.

ros2 launch launch/record.launch.py task:=valve teacher:=script viewer:=true
ros2 action send_goal -f /record_demonstration handlab_interfaces/action/RecordDemonstration GOAL
with a GOAL such as "{episodes: [0, 1, 2], at_once: true}"
"""

from launch import LaunchDescription

from handlab.graph.ros_launch import record_launch


def generate_launch_description() -> LaunchDescription:
    """Describe the graph; `ros2 launch --show-args` lists its arguments."""
    return record_launch()
