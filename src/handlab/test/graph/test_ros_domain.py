"""Domains of graphs."""

from handlab.graph.ros_domain import Domain


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
