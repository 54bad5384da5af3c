"""Clock of hardware stamps."""

import time

from handlab_hardware.clock import time_of_day, whole_ns


def test_the_clock_begins_at_the_time_of_day_and_ignores_later_changes(monkeypatch):
    clock = time_of_day()
    assert abs(clock() - time.time()) < 10.0
    monkeypatch.setattr(time, "time", lambda: 0.0)
    before = clock()
    assert before > 1e9 and 0.0 <= clock() - before < 10.0


def test_stamps_are_whole_nanoseconds():
    assert whole_ns(1.0000000004) == 1.0 and whole_ns(1.0000000006) == 1.000000001
    assert all(round(whole_ns(t) * 1e9) / 1e9 == whole_ns(t) for t in (0.1, 1 / 3, 1.7e9 + 1 / 7))
