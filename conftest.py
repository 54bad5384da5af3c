"""Order of the test files: the longest first, so that no process of a parallel run ends alone."""

import pytest

LONGEST = (
    "test_graph",
    "test_soak",
    "test_pace_bench",
    "test_reward_variants",
    "test_emulated_hand",
    "test_demonstrations",
    "test_kill",
    "test_command_line",
    "test_gym",
    "test_composition",
    "test_ros2_control",
    "test_lifecycle",
)
"""Names of test modules that take longer than half a minute; the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest files to the front; the others keep their order."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
