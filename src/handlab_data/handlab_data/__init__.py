"""Bags and demonstrations on disk, read and written without ROS."""
