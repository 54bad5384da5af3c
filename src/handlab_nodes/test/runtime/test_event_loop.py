"""An event loop that is closed, and the domain of the tests."""

import gc
import os

from handlab_core.environment.episode import EpisodePlan
from handlab_core.tasks import make_task
from handlab_nodes.clients.graph_sampler import GraphSampler

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


def test_a_closed_event_loop_leaves_no_participant_behind(graph, policy):
    """Each would go on answering discovery; some tens of them stop a domain from working."""

    def threads():
        gc.collect()
        return len(os.listdir("/proc/self/task"))

    def sample():
        with graph(*RING, "runner") as (_, node, loop):
            list(GraphSampler(node, loop, TASK).sample(policy(TASK), EpisodePlan(0, [0])))

    sample()
    before = threads()
    sample()
    assert threads() == before


def test_the_domain_is_the_tests_own(domain):
    assert os.environ["ROS_DOMAIN_ID"] == str(domain)
    assert os.environ["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("config/dds/loopback.xml")
