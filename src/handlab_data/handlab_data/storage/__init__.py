"""Stored messages of a rosbag2 bag: MCAP or sqlite3, split or compressed. Needs no ROS."""
