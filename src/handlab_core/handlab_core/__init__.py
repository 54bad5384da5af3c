"""Hands, tasks, rewards, safety and the environment: numpy and nothing of ROS."""
