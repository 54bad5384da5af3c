"""Turn the valve with the soft hand: the whole graph of the task, on any hardware.

ros2 launch launch/soft_valve.launch.py hardware:=mujoco pace:=real rviz:=true
"""

from launch import LaunchDescription

from handlab.graph.ros_launch import task_launch


def generate_launch_description() -> LaunchDescription:
    """Describe the graph; `ros2 launch --show-args` lists its arguments."""
    return task_launch("soft_valve")
