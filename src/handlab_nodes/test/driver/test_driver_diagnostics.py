"""Reports of a driver about the nodes that command its hand."""

from types import SimpleNamespace

import pytest
import rclpy

from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.tasks import make_task
from handlab_nodes.driver.driver_diagnostics import DriverDiagnostics
from handlab_nodes.driver.step_loop import LockstepPace
from handlab_nodes.runtime.diagnostics import OK, WARN
from handlab_nodes.runtime.inbox import NO_NAME
from handlab_sim.backend import MujocoBackend

TASK = make_task("valve")


@pytest.fixture
def report(domain):
    """Return a function that reports with publishers of these names; its level and message."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("driver", context=context)
    backend = ClampedBackend(TASK.hand, TASK.fixture, MujocoBackend(TASK.hand, TASK.fixture))
    pace = LockstepPace(backend, TASK.period, lambda reading: None)
    diagnostics, told = DriverDiagnostics(node, ("runner", "reset")), []
    diagnostics._diagnostics._publisher = SimpleNamespace(publish=told.append)

    def report(*names):
        infos = [SimpleNamespace(node_name=name) for name in names]
        node.get_publishers_info_by_topic = lambda topic: infos
        diagnostics.report(backend, pace, None, 0)
        [status] = told.pop().status
        return status.level, status.message

    yield report
    node.destroy_node()
    context.shutdown()


def test_a_node_that_may_not_command_is_named(report):
    level, message = report("runner", "stranger")
    assert level == WARN and "stranger" in message
    level, message = report("runner", "runner")
    assert level == WARN and "a second runner" in message


def test_a_publisher_whose_nodes_name_is_not_known_yet_is_no_stranger(report):
    assert report("runner", NO_NAME, NO_NAME) == (OK, "driving")
