"""The ROS 2 nodes: thin sockets around the core."""
