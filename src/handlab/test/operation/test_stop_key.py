"""The space bar lets the hand go in the verbs that move one, and another key engages it again."""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab.experiments import training
from handlab.operation.stop_key import DELIBERATE, SimulatedHands, StopKey
from handlab_core.safety.emergency_stop import simulated_hands
from handlab_core.tasks import make_task
from handlab_hardware.station_file import station_path
from handlab_learning.runs.config import RunConfig

TASK = make_task("valve")

PROGRAM = sys.executable, "-m", "handlab.cli"

LIMIT = 5.0
"""Seconds from the key to the last servo without torque. Ctrl-C takes up to 0.3 s until the graph
notices it, and then the time of the nodes; a busy machine needs up to ten times as long."""

SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}


class Motors:
    """Emulated servos of the claw in this process, which sees their torque."""

    def __init__(self, folder):
        self.station = station_path("claw")
        self.link = folder / "port"
        self.port = emulate_dynamixel(self.station, self.link)
        self.words = "--hardware", "dynamixel", "--port", str(self.link)

    def torques(self):
        """Set of the torque registers of all fingers and the valve."""
        return {servo.table.get("torque_enable") for servo in self.port.bus.loop.servos}

    def hand_is_engaged(self):
        fingers = self.port.bus.loop.servos[: TASK.hand.n]
        return all(servo.table.get("torque_enable") for servo in fingers)

    def valve_is_engaged(self):
        return bool(self.port.bus.loop.servos[-1].table.get("torque_enable"))

    @contextmanager
    def times_of_release(self):
        """Yield a list that receives the monotonic time at which all servos are limp."""
        times, over = [], threading.Event()

        def watch():
            while not over.wait(0.001) and not times:
                if self.torques() == {0}:
                    times.append(time.monotonic())

        thread = threading.Thread(target=watch)
        thread.start()
        yield times
        over.set()
        thread.join()


@pytest.fixture
def motors(tmp_path):
    motors = Motors(tmp_path)
    with motors.port:
        yield motors


def stop(program, motors, what):
    """Press space while the hand is engaged; return the seconds until it was limp."""
    program.until(motors.hand_is_engaged, what, 120.0)
    with motors.times_of_release() as times:
        pressed = program.press(" ")
        program.until(lambda: times, "the release")
    program.until(lambda: "STOPPED" in program.said, "a word of the stop")
    return times[0] - pressed


def engage(program):
    time.sleep(DELIBERATE)
    program.press("e")
    program.until("engaged again", "the hand to be engaged")


@pytest.mark.usefixtures("no_film")
def test_a_training_on_motors_stops_at_a_key_and_repeats_the_episode(terminal, motors, tmp_path):
    config = RunConfig(
        hardware="dynamixel", port=str(motors.link), settings=SMALL,
        until="hours", evaluate_every=100, evaluation_episodes=1,
    )  # fmt: skip
    folder = training.new_run(config, tmp_path)
    program = terminal(*PROGRAM, "train", "--resume", folder.path, cwd=tmp_path)
    program.until(lambda: folder.metrics_path.exists(), "the first evaluation", 120.0)
    program.until(motors.valve_is_engaged, "the reset before an episode", 120.0)
    took = stop(program, motors, "the training")
    assert took < LIMIT, f"{took:.2f} s"
    program.press("e  e")  # in haste: no key engages the hand so early
    program.listen(1.0)
    assert motors.torques() == {0} and not program.ended()
    engage(program)
    program.until(motors.hand_is_engaged, "the hand to move again")
    rows = lambda: folder.metrics()[1:]  # noqa: E731  (the first evaluation is no iteration)
    program.until(lambda: rows(), "an iteration", 120.0)
    assert rows()[0]["episodes_broken_off"] >= 1
    program.press("\x03")
    assert program.code() in (0, 130) and program.modes() == program.before
    assert "--resume" in program.said


def test_a_graph_without_a_client_stops_at_a_key_and_ctrl_c_ends_it(terminal, motors, tmp_path):
    program = terminal(*PROGRAM, "up", "valve", *motors.words, cwd=tmp_path)
    program.until("space: stop the hand", "the graph", 120.0)
    program.press(" ")
    program.until("confirmed", "the stop")
    assert motors.torques() == {0}
    engage(program)
    took = stop(program, motors, "the hand to be held")
    assert took < LIMIT, f"{took:.2f} s"
    program.press("\x03")
    assert program.code() == 0
    assert program.modes() == program.before and motors.torques() == {0}


def driver_of(program):
    """Return the process of the driver that a program has started."""
    threads = Path(f"/proc/{program.pid}/task").iterdir()
    children = [child for thread in threads for child in (thread / "children").read_text().split()]
    words = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return next(child for child, line in words.items() if b"driver_node" in line)


def test_a_driver_that_does_not_answer_is_ended_with_the_graph(terminal, motors, tmp_path):
    program = terminal(*PROGRAM, "up", "valve", *motors.words, cwd=tmp_path)
    program.until(motors.hand_is_engaged, "the driver", 120.0)
    os.kill(driver_of(program), signal.SIGSTOP)
    with motors.times_of_release() as times:
        pressed = program.press(" ")
        program.until(lambda: times, "the release")
    assert times[0] - pressed < LIMIT
    assert program.code() in (0, 1) and "ending the graph" in program.said
    assert program.modes() == program.before


def test_a_key_lets_the_hand_go_while_the_graph_still_starts(terminal, motors, tmp_path):
    """A driver that no client knows yet is ended; a known one answers."""
    program = terminal(*PROGRAM, "up", "valve", *motors.words, cwd=tmp_path)
    program.until(motors.hand_is_engaged, "the driver", 120.0)
    with motors.times_of_release() as times:
        pressed = program.press(" ")
        program.until(lambda: times, "the release")
    assert times[0] - pressed < LIMIT
    program.until(lambda: "ending the graph" in program.said or "confirmed" in program.said, "why")
    program.press("\x03")
    assert program.code() in (0, 1)
    assert program.modes() == program.before and motors.torques() == {0}


@pytest.mark.usefixtures("no_film")
def test_a_simulation_in_this_process_stands_still_at_a_key(terminal, tmp_path):
    words = "train", "valve", "--backend", "sim", "--worlds", "2", "--max-hours", "0.05"
    program = terminal(*PROGRAM, *words, "--until", "hours", cwd=tmp_path)
    metrics = lambda: list(tmp_path.glob("runs/*/metrics.jsonl"))  # noqa: E731
    program.until(lambda: metrics() and metrics()[0].stat().st_size > 0, "training", 120.0)
    program.press(" ")
    program.until("STOPPED", "the stop")
    program.listen(0.5)
    before = metrics()[0].read_text()
    program.listen(1.5)
    assert metrics()[0].read_text() == before and not program.ended()
    engage(program)
    program.until(lambda: metrics()[0].read_text() != before, "the training to go on")
    program.press("\x03")
    assert program.code() in (0, 130), program.said[-2000:]
    assert program.modes() == program.before


def test_ctrl_c_ends_a_stopped_simulation(terminal, tmp_path):
    program = terminal(*PROGRAM, "gait", "valve", "--generations", "50", cwd=tmp_path)
    program.until("space: stop the hand", "the search", 60.0)
    program.press(" ")
    program.until("STOPPED", "the stop")
    program.press("\x03")
    assert program.code() == 130
    assert program.modes() == program.before


def test_a_switch_that_is_left_does_not_stop_the_next_one():
    said = []
    with StopKey(SimulatedHands(), say=said.append) as stop_key:
        assert not stop_key.present and not stop_key.line  # no terminal, no keys
        simulated_hands.stop()
    assert not simulated_hands.stopped and not said
