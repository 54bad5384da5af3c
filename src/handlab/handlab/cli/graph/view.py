"""`./handlab view`: serve the browser viewer."""

from handlab.cli.parameters import Network, TaskName
from handlab.graph import ros_environment


def view(task: TaskName = "valve", network: Network = False) -> None:
    """Serve the browser viewer for a graph that is already up."""
    from handlab.graph import viewer_node
    from handlab_core.tasks import make_task

    make_task(task)
    ros_environment.prepare()
    viewer_node.main(["--ros-args", "-p", f"task:={task}"])
