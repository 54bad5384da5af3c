"""The newest of many values, at a rate that people and their tools can use."""

from handlab_nodes.runtime.throttle import Throttle


def test_held_back_values_the_newest_comes_when_its_time_has_come():
    now, seen = [0.0], []
    throttle = Throttle(seen.append, 1.0, lambda: now[0])
    for value in (1, 2, 3):
        throttle.offer(value)
    assert seen == [1]
    now[0] = 0.6
    throttle.flush()
    assert seen == [1]
    now[0] = 1.0
    throttle.flush()
    throttle.flush()
    assert seen == [1, 3]
    throttle.repeat()
    assert seen == [1, 3, 3]
