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


def test_a_graph_in_a_chosen_domain_meets_no_graph_that_chose_none(monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    first = Domain()
    first.release()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(first.id))
    one, two = Domain(), Domain()  # the user may share it
    assert one.id == two.id == first.id
    monkeypatch.delenv("ROS_DOMAIN_ID")
    for chosen in (one, two):
        other = Domain()
        assert other.id != first.id
        other.release()
        chosen.release()


def test_a_guest_that_outlives_its_graph_never_meets_the_next_one(monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    graph = Domain()
    with guest("_visitor", graph.id):
        graph.release()
        following = Domain()
        assert following.id != graph.id
        following.release()
