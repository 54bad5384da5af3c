"""Domains of graphs."""

from handlab.graph.ros_domain import Domain
from handlab_nodes.runtime.event_loop import guest


def test_two_graphs_get_two_domains(monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    one, two = Domain(), Domain()
    assert one.id != two.id
    one.release()
    three = Domain()
    assert three.id == one.id
    for domain in (two, three):
        domain.release()
    monkeypatch.setenv("ROS_DOMAIN_ID", "77")
    assert Domain().id == 77


def test_a_guest_that_outlives_its_graph_never_meets_the_next_one(monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    graph = Domain()
    with guest("_visitor", graph.id):
        graph.release()
        following = Domain()
        assert following.id != graph.id
        following.release()
