"""All tests: the longest files come first, and no test chooses the ROS domain of a later one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

LONGEST = (
    "handlab/test/experiments/test_training.py",
    "handlab/test/benches/running/test_pace.py",
    "handlab_nodes/test/nodes/test_runner_node.py",
    "handlab_nodes/test/clients/test_graph_sampler.py",
    "handlab/test/benches/running/test_soak.py",
    "handlab/test/repository/test_commands.py",
    "handlab/test/cli/test_program.py",
    "handlab_nodes/test/nodes/test_reward_node.py",
    "handlab_nodes/test/nodes/recorder_node/test_readers.py",
    "handlab/test/benches/killing/test_kill.py",
    "handlab/test/graph/test_ros_environment.py",
    "handlab_nodes/test/nodes/test_driver_node.py",
    "handlab_nodes/test/nodes/driver_node/test_ros2_control.py",
    "handlab/test/experiments/training/test_full_disk.py",
    "handlab_nodes/test/runtime/inbox/test_strangers.py",
)
"""Files below src/ that take longer than half a minute; the longest first."""

SOURCES = Path(__file__).parent / "src"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest files to the front; the others keep their order."""
    rank = {SOURCES / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True)
def _domain_of_the_shell() -> Iterator[None]:
    """Fail a test that leaves another domain behind, in which a later one would meet strangers."""
    before = os.environ.get("ROS_DOMAIN_ID")
    yield
    assert os.environ.get("ROS_DOMAIN_ID") == before
