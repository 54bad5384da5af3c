"""The verbs of the bench on an emulated hand, as a person uses them: no graph, a terminal, Ctrl-C.

Servos are emulated in this process, which sees their registers; the verbs are programs.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab_core.system.files import read_yaml
from handlab_hardware.dynamixel.emulator import Fault
from handlab_hardware.station_file import load_station, own_calibration, station_path

PROGRAM = sys.executable, "-m", "handlab.cli"
IDS = {servo.joint: servo.id for servo in load_station(station_path("claw")).dynamixel.servos}


class Claw:
    """An emulated claw, and programs that use it."""

    def __init__(self, folder):
        self.folder, self.link = folder, folder / "port"
        self.port = emulate_dynamixel(station_path("claw"), self.link)

    def get(self, joint, register):
        return self._servo(joint).table.get(register)

    def _servo(self, joint):
        return next(s for s in self.port.bus.loop.servos if s.id == IDS[joint])

    def torques(self):
        return {joint: self.get(joint, "torque_enable") for joint in IDS}

    def limp(self):
        return not any(self.torques().values())

    def fault(self, kind, joint, **values):
        self.port.inject(Fault(kind, id=IDS[joint], **values))
        time.sleep(0.1)

    def words(self, *verb):
        return [*PROGRAM, *verb, "--port", str(self.link)]

    def run(self, *verb):
        """Run a verb to its end: code, standard output, standard error."""
        done = subprocess.run(
            self.words(*verb), cwd=self.folder, capture_output=True, text=True, timeout=100
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def claw(tmp_path):
    claw = Claw(tmp_path)
    with claw.port:
        yield claw


def test_status_reads_every_servo_and_names_the_absent_and_the_hot_one(claw):
    code, said, _ = claw.run("status", "--json")
    figures = json.loads(said.splitlines()[-1])
    assert code == 0 and [servo["joint"] for servo in figures["servos"]] == list(IDS)
    assert not figures["faults"] and claw.limp()
    claw.fault("dead", "MFJ21")
    claw.fault("overheat", "THJ30", celsius=79.5)
    code, said, _ = claw.run("status")
    assert code == 1
    assert "MFJ21" in said and "check its cable" in said and "is hot, 7" in said


def test_a_wrong_port_is_one_line(claw):
    claw.link = claw.folder / "nothing"
    for verb in (["status"], ["check", "claw", "--unattended"], ["torque", "off"], ["torque", "on"],
                 ["reboot", "FFJ10"], ["jog", "FFJ10", "--by", "3"], ["calibrate"]):  # fmt: skip
        code, _, said = claw.run(*verb)
        assert code == 1 and "plug the adapter in" in said and len(said.splitlines()) < 4, said


def test_check_moves_each_joint_alone_and_measures_it(claw):
    code, said, shown = claw.run("check", "claw", "--unattended", "--joint", "FFJ11", "--json")
    [result] = json.loads(said.splitlines()[-1])["joints"]
    assert code == 0 and result["joint"] == "FFJ11" and not result["problem"], said + shown
    assert result["moved"] == pytest.approx(result["asked"], rel=0.4) and claw.limp()


def test_check_with_an_absent_servo_moves_nothing(claw):
    claw.fault("dead", "FFJ12")
    code, _, said = claw.run("check", "claw", "--unattended")
    assert code == 1 and "servo 12 (FFJ12) does not answer" in said and claw.limp()


def test_check_stops_at_a_servo_that_gets_hot(claw):
    claw.fault("overheat", "FFJ10", celsius=79.5)
    code, _, said = claw.run("check", "claw", "--unattended")
    assert code == 1 and "hot" in said and claw.limp()


def test_check_asks_a_person_at_the_terminal(claw, terminal):
    program = terminal(*claw.words("check", "claw", "--joint", "FFJ10"), cwd=claw.folder)
    program.until("FFJ10: first_tip moves", "the motion")
    program.until(lambda: claw.get("FFJ10", "torque_enable"), "the torque")
    program.until(lambda: sum(claw.torques().values()) == 1, "one joint alone", 2.0)
    program.listen(2.0)
    program.press("d")
    assert program.code() == 1 and "`direction`" in program.said
    assert program.modes() == program.before and claw.limp()


@pytest.mark.parametrize("key", ["\x03", " "])
def test_ctrl_c_and_the_space_bar_let_the_hand_go(claw, terminal, key):
    program = terminal(*claw.words("torque", "on"), cwd=claw.folder)
    program.until(lambda: sum(claw.torques().values()) == 9, "the torque")
    program.until("space: stop", "the keys")
    program.press(key)
    program.until(claw.limp, "the release", 5.0)
    if key == " ":
        program.until("STOPPED", "the words")
        program.press("\x03")
    assert program.code() == 130 and claw.limp() and program.modes() == program.before


def test_torque_of_single_joints(claw, terminal):
    program = terminal(*claw.words("torque", "on", "--joint", "FFJ10"), cwd=claw.folder)
    program.until("engaged", "the verb")
    program.until(lambda: sum(claw.torques().values()) == 1, "one joint alone")
    assert claw.get("FFJ10", "torque_enable")
    program.press("\x03")
    program.code()


def test_a_killed_verb_lets_the_hand_go(claw, terminal):
    program = terminal(*claw.words("torque", "on"), cwd=claw.folder)
    program.until(lambda: sum(claw.torques().values()) == 9, "the torque")
    program.until("space: stop", "the keys")
    os.kill(program.pid, signal.SIGKILL)
    program.until(claw.limp, "the guardian", 5.0)


def test_a_bus_that_another_verb_uses_is_refused_with_its_name(claw, terminal):
    program = terminal(*claw.words("torque", "on"), cwd=claw.folder)
    program.until("space: stop", "the verb")
    code, _, said = claw.run("status")
    assert code == 1 and "in use by process" in said and "./handlab torque on" in said, said
    program.press("\x03")
    program.code()


def test_jog_moves_by_degrees_and_by_keys(claw, terminal):
    code, said, _ = claw.run("jog", "FFJ10", "--by", "8", "--json")
    figures = json.loads(said.splitlines()[-1])
    assert code == 0 and figures["reached"] == pytest.approx(figures["asked"], abs=4.0)
    assert claw.limp()
    program = terminal(*claw.words("jog", "MFJ20"), cwd=claw.folder)
    program.until(lambda: claw.get("MFJ20", "torque_enable"), "the torque")
    before = claw.get("MFJ20", "goal_position")
    program.press("+++")
    program.until(lambda: claw.get("MFJ20", "goal_position") >= before + 60, "6 degrees", 60.0)
    program.press("q")
    assert program.code() == 0 and claw.limp()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["jog"], "without a terminal"),
        (["jog", "--by", "3"], "need a joint"),
        (["jog", "FFJ10", "--by", "3", "--to", "4"], "one of them"),
        (["jog", "thumb", "--by", "3"], "thumb"),
        (["reboot", "thumb"], "thumb"),
        (["check", "claw"], "--unattended"),
        (["status", "--hand", "allegro"], "for the hand"),
        (["torque", "up"], "on"),
    ],
)
def test_a_wrong_request_is_one_line_and_moves_nothing(claw, words, reason):
    if "--hand" in words:
        words = [*words, "--station", str(station_path("claw"))]
    code, _, said = claw.run(*words)
    assert code in (1, 2) and reason in said and claw.limp(), said


def test_reboot_clears_the_error_of_one_servo(claw):
    claw.fault("overload", "FFJ12")
    assert claw.get("FFJ12", "hardware_error_status")
    code, said, _ = claw.run("reboot", "FFJ12")
    assert code == 0 and "is back: no error" in said
    assert not claw.get("FFJ12", "hardware_error_status")
    claw.fault("dead", "FFJ12")
    code, _, said = claw.run("reboot", "FFJ12")
    assert code == 1 and "servo 12 does not answer" in said


def test_calibrate_writes_the_zeros_beside_the_link(claw):
    code, said, shown = claw.run("calibrate", "--force")
    assert code == 0, said + shown
    path = own_calibration(str(claw.link))
    assert str(path) in said and set(read_yaml(path)["zeros"]) == set(IDS)
    code, _, said = claw.run("calibrate", "--force")
    assert code == 1 and "exists" in said


def test_a_hand_is_emulated_on_request(tmp_path):
    words = [*PROGRAM, "status", "--port", "emulated", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout.splitlines()[-1])["servos"]) == 10
