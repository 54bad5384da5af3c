"""`./handlab view`: serve the browser viewer."""

import os

from handlab.cli import ended_at_once
from handlab.cli.parameters import Network, TaskName
from handlab.graph import ros_environment


def view(task: TaskName = "valve", network: Network = False) -> None:
    """Serve the browser viewer for a graph that is already up."""
    with ended_at_once():
        from handlab.browser import viewer_node
    from handlab.graph.running_graphs import chosen_graph
    from handlab_core.tasks import make_task

    make_task(task)
    if "ROS_DOMAIN_ID" not in os.environ and (graph := chosen_graph(None)) is not None:
        os.environ["ROS_DOMAIN_ID"] = str(graph.domain)
    ros_environment.prepare()
    viewer_node.main(["--ros-args", "-p", f"task:={task}"])
