"""Replay demonstrations: shown, or repeated by a hand; an action starts it.

ros2 launch launch/replay.launch.py task:=valve replay:=look rviz:=true
ros2 action send_goal -f /replay_demonstration handlab_interfaces/action/ReplayDemonstration GOAL
with a GOAL such as "{bag: $PWD/demos/valve}"
"""

from launch import LaunchDescription

from handlab.graph.ros_launch import replay_launch


def generate_launch_description() -> LaunchDescription:
    """Describe the graph; `ros2 launch --show-args` lists its arguments."""
    return replay_launch()
