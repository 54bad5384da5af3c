"""Unexpected publishers of a topic."""

from handlab_nodes.runtime.diagnostics import strangers_among


def test_strangers_are_those_not_allowed_and_those_who_come_twice():
    assert strangers_among(["reset", "claw_system"], ["reset", "claw_system", "runner"]) == []
    assert strangers_among(["b", "a", "reset", "reset"], ["reset"]) == ["a", "b", "a second reset"]
