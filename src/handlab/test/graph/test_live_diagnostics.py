"""The user sees live what is wrong in a graph; a start that cannot be ends with one line."""

import pytest

from handlab.graph import live_diagnostics as watching
from handlab.graph.config import GraphConfig, build_graph
from handlab.graph.live_diagnostics import DiagnosticsMonitor
from handlab_core.errors import StationFault
from handlab_nodes.runtime.diagnostics import ERROR, NOT_ACTIVE, OK, WARN

NODES = ("driver", "reward", "viewer")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def scene():
    clock, lines = Clock(), []
    watch = DiagnosticsMonitor(NODES, lines.append, clock)

    def after(seconds, *reports):
        clock.now += seconds
        for report in reports:
            watch.take(*report)
        watch.check()
        said, lines[:] = lines[:], []
        return said

    return watch, after


def test_errors_warnings_and_recoveries_are_shown_once_each(scene):
    _, after = scene
    assert after(1, ("driver", OK, "driving"), ("reward", OK, "ready")) == []
    gone = ("driver", ERROR, "the adapter is gone: plug it in")
    assert after(1, gone) == ["driver: error: the adapter is gone: plug it in"]
    assert after(2, gone) == []
    assert after(1, ("driver", OK, "driving")) == ["driver: well again (driving)"]
    assert after(9, ("reward", WARN, "old")) == ["reward: warning: old"]
    assert after(9, ("stranger", ERROR, "hot")) == ["stranger: error: hot"]


def test_a_number_that_changes_is_no_news(scene):
    _, after = scene
    after(1, ("reward", OK, "ready"))
    assert after(1, ("driver", WARN, "silent for 1.5 s")) == ["driver: warning: silent for 1.5 s"]
    assert after(9, ("driver", WARN, "silent for 10.5 s")) == []


def test_a_report_that_flaps_is_shown_at_most_once_a_second_and_its_end_is_never_lost(scene):
    _, after = scene
    after(1, ("reward", OK, "ready"), ("driver", OK, "driving"))
    lines = []
    for i in range(100):
        lines += after(0.05, ("driver", (OK, ERROR)[i % 2], ("driving", "hot")[i % 2]))
    assert 2 <= len(lines) <= 6
    after(2, ("driver", OK, "driving"))
    assert after(2, ("driver", ERROR, "hot")) == ["driver: error: hot"]
    assert after(0.1, ("driver", OK, "driving")) == []
    assert after(1.0) == ["driver: well again (driving)"]


def test_the_start_says_what_it_waits_for_and_is_ready_when_all_nodes_are(scene):
    watch, after = scene
    assert after(4, ("driver", WARN, NOT_ACTIVE)) == []
    assert after(2) == ["waiting for reward (no report yet), driver (not active)"]
    assert after(1, ("reward", OK, "ready")) == [] and not watch.ready
    assert after(1, ("driver", WARN, "the adapter holds bytes back")) != [] and watch.ready


def test_a_start_whose_node_tells_an_error_for_long_ends_with_it(scene):
    _, after = scene
    missing = ("driver", ERROR, "there is no /dev/ttyUSB0")
    assert after(1, missing) == ["driver: error: there is no /dev/ttyUSB0"]
    after(watching.START_PATIENCE - 0.1, missing)
    with pytest.raises(StationFault, match="driver: there is no /dev/ttyUSB0"):
        after(0.2, missing)


def test_another_robots_trouble_is_shown_and_holds_no_start_up(scene):
    watch, after = scene
    trouble = ("other_robot/battery", ERROR, "empty"), ("other_robot/arm", OK, NOT_ACTIVE)
    assert after(1, *trouble) == ["other_robot/battery: error: empty"]
    assert not watch.ready
    after(20, ("driver", OK, "driving"), ("reward", OK, "ready"), *trouble)
    assert watch.ready


def test_an_error_that_ends_in_time_and_one_after_the_start_end_nothing(scene):
    watch, after = scene
    after(1, ("driver", ERROR, "no port"), ("reward", OK, "ready"))
    after(9, ("driver", OK, "driving"))
    assert watch.ready
    after(1, ("driver", ERROR, "unplugged"))
    after(100, ("driver", ERROR, "unplugged"))


def test_drivers_of_emulated_motors_wait_for_them_without_a_complaint():
    for hardware, ports in (("dynamixel", {}), ("allegro", {"fixture_port": "/tmp/b"})):
        task = "valve" if hardware == "dynamixel" else "allegro_valve"
        for emulate in (True, False):
            nodes = build_graph(
                GraphConfig(
                    task, hardware=hardware, pace="real", port="/tmp/a", emulate=emulate, **ports
                )
            )
            drivers = [n for n in nodes if n.executable == "driver_node"]
            assert drivers and all(("start_patience" in n.parameters) == emulate for n in drivers)


def test_the_words_of_a_stranger_do_not_act_on_the_terminal(scene):
    _, after = scene
    [line] = after(1, ("stranger\x1b[2J", WARN, "\x1b[31mhot\x07\r\nhandlab: all is well"))
    assert line == r"stranger\x1b[2J: warning: \x1b[31mhot\x07 handlab: all is well"
