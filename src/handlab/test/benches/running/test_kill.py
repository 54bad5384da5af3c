"""The short form of `./handlab bench kill`: the cases that were worst, on an emulated hand."""

import signal
import time

import numpy as np
import pytest

from handlab.benches.running import kill
from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.station_file import station_path


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("victim", "name"),
    [("supervisor", "SIGKILL"), ("supervisor", "SIGHUP"), ("driver", "SIGSTOP")],
)
def test_nothing_is_left_and_the_hand_is_let_go_within_two_seconds(victim, name):
    case = kill.strike_with_hand(victim, name)
    assert case.wrong == []
    assert case.let_go_s is not None and case.let_go_s < 2.0 and case.gone_s < 2.0


def test_every_process_and_every_signal_is_struck_and_what_is_wrong_is_counted(monkeypatch):
    struck = []

    def strike(part):
        def one(victim, name):
            struck.append((part, victim, name))
            return kill.Case(part, victim, name, ["left"] if victim == "driver" else [], 0.5)

        return one

    monkeypatch.setattr(kill, "strike_learning", lambda kills, seed: [])
    monkeypatch.setattr(kill, "strike_with_hand", strike("hand"))
    monkeypatch.setattr(kill, "strike_run", strike("run"))
    result = kill.measure(0)
    assert len(struck) == len(set(struck)) == 2 * 8 * 4
    assert result.value == 2 * 4 and result.limit == 0
    assert "hand driver SIGHUP: left" in result.details["wrong"]


@pytest.mark.timeout(300)
def test_a_driver_that_wakes_reports_it_and_engages_each_joint_from_where_it_is(tmp_path):
    with emulate_dynamixel(station_path("claw"), tmp_path / "port") as port:
        servos = port.bus.servos[: kill.HAND_SERVOS]

        def read(register):
            return np.array([servo.table.get(register) for servo in servos])

        def on():
            return read("torque_enable").astype(bool)

        words = ["--hardware", "dynamixel", "--port", str(tmp_path / "port")]
        with kill._training(tmp_path, *words) as verb:
            kill._wait(lambda: on().all(), "the hand to be engaged")
            driver = kill._find("driver", verb, kill._processes(verb))
            driver.send_signal(signal.SIGSTOP)
            kill._wait(lambda: not on().any(), "the hand to be let go")
            time.sleep(1.0)
            driver.send_signal(signal.SIGCONT)
            kill._wait(lambda: on().any(), "the hand to be engaged again")
            engaged, goal = on(), read("goal_position") * RAD_PER_TICK
            apart = np.abs(goal - port.bus.loop.motion.position[: kill.HAND_SERVOS])
            assert apart[engaged].max() < 0.5  # rad; goals lead moving joints by less
            said = tmp_path / "said"
            kill._wait(lambda: "stood still" in said.read_text(), "the report")


@pytest.mark.timeout(600)
def test_a_run_loses_nothing_to_kills_of_learner_runner_and_supervisor():
    cases = kill.strike_learning(1, 0)
    assert {case.victim for case in cases} == set(kill.LEARNERS)
    assert [text for case in cases for text in case.wrong] == []
