"""The robot of a graph of nodes, as an environment uses it."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from handlab_core.tasks import Task


class GraphRobot:
    """A station in a graph, with the node that talks to it, and perhaps the graph itself."""

    def __init__(self, task: Task, domain: int | None, pace: str) -> None:
        from handlab.graph import ros_environment

        ros_environment.prepare()  # before rclpy is imported
        from handlab.graph.config import GraphConfig
        from handlab.graph.processes import BackgroundGraph
        from handlab_nodes.clients.graph_station import GraphStation
        from handlab_nodes.runtime.event_loop import guest

        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="handlab-"))
            simulated = pace == "lockstep"
            if domain is None:
                config = GraphConfig(
                    task.name, pace=pace, reward=task.reward, runner=False, learner=False
                )
                graph = BackgroundGraph(config, Path(scratch, "nodes.log"))
                domain, simulated = stack.enter_context(graph).domain, config.simulated
            # The name of the driver's customer: commands from elsewhere are reported.
            node, loop = stack.enter_context(guest("runner", domain, simulated))
            self.station = GraphStation(node, loop, task, pace == "lockstep")
            self._exit = stack.pop_all()

    def close(self) -> None:
        """Leave the graph, and end it if it was started here."""
        self._exit.close()
