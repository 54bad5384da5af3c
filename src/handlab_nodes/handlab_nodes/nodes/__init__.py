"""ROS 2 nodes, one a file."""
