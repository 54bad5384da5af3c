"""A ROS domain of its own for every test process, so that suites can run side by side."""

import os

import pytest

from handlab.domain import Domain


@pytest.fixture(scope="session", autouse=True)
def domain():
    """Claim a domain; what the tests start inherits it."""
    before = os.environ.pop("ROS_DOMAIN_ID", None)
    claimed = Domain()
    os.environ["ROS_DOMAIN_ID"] = str(claimed.id)
    yield claimed.id
    claimed.release()
    os.environ.pop("ROS_DOMAIN_ID")
    if before is not None:
        os.environ["ROS_DOMAIN_ID"] = before
