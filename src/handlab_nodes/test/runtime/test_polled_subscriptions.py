"""The hidden node of polled subscriptions."""

import rclpy
from rclpy.context import Context

from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions


def test_a_node_that_is_not_spun_offers_no_service_that_would_not_answer(domain):
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("owner", context=context)
    try:
        hidden = PolledSubscriptions(node).node
        assert hidden.get_name() == "_owner_listener"
        assert not list(hidden.services)
    finally:
        context.try_shutdown()
