"""The short form of `./handlab bench kill`: the cells that were worst, on an emulated hand."""

import os
import signal
import time
from dataclasses import asdict

import numpy as np
import pytest

from handlab.benches import journal
from handlab.benches.killing import kill, learning, verbs
from handlab.benches.killing.cells import strike_with_hand
from handlab.benches.killing.kill import KillOptions
from handlab.benches.killing.processes import SIGNALS, SUPERVISOR, Case, running
from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab.graph.config import GraphConfig, build_graph
from handlab_core.errors import StationTimeout, UnknownName
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.station_file import station_path

TRAIN = verbs.WITH_HAND[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("victim", "name"),
    [
        ("supervisor", "SIGKILL"), ("supervisor", "SIGHUP"), ("driver", "SIGSTOP"),
        ("supervisor", "SIGSTOP"), ("recorder", "SIGSTOP"),
    ],
)  # fmt: skip
def test_nothing_is_left_and_the_hand_is_let_go_within_two_seconds(victim, name):
    case = strike_with_hand(TRAIN, victim, name)
    assert case.wrong == []
    assert case.let_go_s is not None and case.let_go_s < 2.0 and case.gone_s < 2.0


@pytest.fixture
def struck(monkeypatch, tmp_path):
    """Return the list of cells that are measured, in this process and without a graph."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = []

    def strike(cell):
        names.append(cell.name)
        wrong = ["left"] if cell.victim == "driver" else []
        if cell.victim == "learner" and cell.signal == "SIGHUP":
            raise StationTimeout("waited")
        return [Case(cell.part, cell.verb, cell.victim, cell.signal, wrong, 0.5)]

    def measured(left, jobs):
        for cell in left:
            try:
                yield cell, strike(cell), False
            except StationTimeout as error:
                yield cell, [kill._failed(cell, error)], True

    monkeypatch.setattr(kill, "_measured", measured)
    monkeypatch.setattr(kill, "kept", lambda bench, key: [])
    return names


def test_every_node_of_every_graph_is_struck_by_every_signal():
    known = {node.name for node in build_graph(GraphConfig(bag="b", viewer=True, scene=True))}
    known |= {node.name for node in build_graph(GraphConfig(estimator="camera", compose=True))}
    cells = kill.cells(KillOptions(), 0)
    victims = {cell.victim for cell in cells}
    more = {SUPERVISOR, "emulator", "fixture_driver", "demonstrator", "teacher", "replay"}
    assert victims >= known | more | {"container", "camera", "viewer", "scene"}
    for name in victims - {""}:
        assert {cell.signal for cell in cells if cell.victim == name} == set(SIGNALS), name


def test_what_is_wrong_is_counted_and_named(struck):
    result = kill.measure(0, KillOptions(verbs="train", victims="driver,runner"))
    assert len(struck) == len(set(struck)) == 2 * 2 * 4
    assert result.value == 2 * 4 and result.limit == 0
    assert "hand: train: driver SIGHUP: left" in result.details["wrong"]


def test_a_result_keeps_the_cells_of_the_last_one_that_were_not_measured(struck, monkeypatch):
    last = [
        Case("hand", "train", "driver", "SIGKILL", ["old"]),
        Case("learning", "train --algorithm rlpd", "runner", "SIGKILL", ["lost"]),
    ]
    monkeypatch.setattr(kill, "kept", lambda bench, key: [asdict(case) for case in last])
    result = kill.measure(0, KillOptions(parts="hand", verbs="train", victims="driver"))
    assert result.details["cells"] == 5
    assert "learning: train --algorithm rlpd: runner SIGKILL: lost" in result.details["wrong"]
    assert not any(text.endswith("old") for text in result.details["wrong"])


def test_a_measurement_that_was_broken_off_goes_on_with_the_cells_that_are_left(
    struck, monkeypatch
):
    options, measured = KillOptions(parts="hand", verbs="train"), kill._measured

    def broken_off(left, jobs):
        for number, one in enumerate(measured(left, jobs)):
            if number == 3:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(kill, "_measured", broken_off)
    with pytest.raises(KeyboardInterrupt):
        kill.measure(0, options)
    monkeypatch.setattr(kill, "_measured", measured)
    first = set(struck[:3])
    struck.clear()
    assert kill.measure(0, options).details["cells"] == 8 * 4
    assert len(struck) == 8 * 4 - 3 and not first & set(struck)
    struck.clear()
    kill.measure(0, options)  # the next one is another measurement
    assert len(struck) == 8 * 4


def test_a_cell_that_cannot_be_measured_is_a_violation_and_is_tried_again(struck, monkeypatch):
    options, measured = KillOptions(parts="hand", verbs="train", victims="learner"), kill._measured
    result = kill.measure(0, options)
    [wrong] = result.details["wrong"]
    assert wrong == ("hand: train: learner SIGHUP: cannot be measured: StationTimeout: waited")
    monkeypatch.setattr(journal.Journal, "clear", lambda self: None)
    monkeypatch.setattr(kill, "_measured", measured)
    kill.measure(0, options)
    struck.clear()
    kill.measure(0, options)
    assert struck == ["hand: train: learner SIGHUP"]


def test_a_worker_that_dies_costs_one_line_and_no_other_cell(monkeypatch):
    monkeypatch.setattr(kill, "strike", die)
    monkeypatch.setattr(kill, "POOLS", 1)
    left = [kill.Cell("hand", "train", str(number)) for number in range(2)]
    measured = list(kill._measured(left, 1))
    assert [failed for _, _, failed in measured] == [True, True]
    assert "have died" in measured[0][1][0].wrong[0]


def die(cell):
    os._exit(1)


@pytest.mark.parametrize("wrong", ["nobody", ",", "driver,", ",driver"])
def test_a_list_with_an_unknown_or_empty_name_is_refused(wrong):
    with pytest.raises(UnknownName, match="name in --victims"):
        kill.cells(KillOptions(victims=wrong), 0)


@pytest.mark.timeout(300)
def test_a_driver_that_wakes_reports_it_and_engages_each_joint_from_where_it_is(tmp_path):
    with emulate_dynamixel(station_path("claw"), tmp_path / "port") as port:
        servos = port.bus.servos[: verbs.HAND_SERVOS]

        def read(register):
            return np.array([servo.table.get(register) for servo in servos])

        def on():
            return read("torque_enable").astype(bool)

        words = ["--hardware", "dynamixel", "--port", str(tmp_path / "port")]
        with running([*TRAIN.words, *words], tmp_path) as verb:
            verb.wait(lambda: on().all(), "the hand to be engaged")
            driver = verb.find("driver")
            driver.send_signal(signal.SIGSTOP)
            verb.wait(lambda: not on().any(), "the hand to be let go")
            time.sleep(1.0)
            driver.send_signal(signal.SIGCONT)
            verb.wait(lambda: on().any(), "the hand to be engaged again")
            engaged, goal = on(), read("goal_position") * RAD_PER_TICK
            apart = np.abs(goal - port.bus.loop.motion.position[: verbs.HAND_SERVOS])
            assert apart[engaged].max() < 0.5  # rad; goals lead moving joints by less
            verb.wait(lambda: "stood still" in verb.said.read_text(), "the report")


@pytest.mark.usefixtures("no_film")
@pytest.mark.timeout(600)
def test_a_run_loses_nothing_to_kills_of_learner_runner_and_supervisor():
    cases = learning.strike_learning(0, 0)
    assert {case.victim for case in cases} == set(learning.LEARNERS)
    assert [text for case in cases for text in case.wrong] == []
