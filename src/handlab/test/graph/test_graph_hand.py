"""The verbs of the bench find the graph that runs, and use its services instead of its bus."""

import json
import subprocess
import sys
import time

import pytest

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab.graph.graph_hand import graph_hand
from handlab.graph.running_graphs import chosen_graph
from handlab.operation.motion import move
from handlab_core.errors import StationFault, UnknownName
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.station_file import load_station, station_path

IDS = {servo.joint: servo.id for servo in load_station(station_path("claw")).dynamixel.servos}


def verb(*words):
    """Run a verb to its end: code, standard output, standard error."""
    command = [sys.executable, "-m", "handlab.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.timeout(300)
def test_every_verb_works_through_a_graph_that_runs(tmp_path):
    config = GraphConfig("pose", runner=False, learner=False)
    with emulated_graph(config, tmp_path) as (port, graph):
        servos = port.bus.loop.servos
        torque = lambda id: next(s for s in servos if s.id == id).table.get("torque_enable")  # noqa: E731
        running = chosen_graph(graph.domain)
        end = time.monotonic() + 100.0
        while not torque(IDS["FFJ10"]):  # until the driver holds the hand for the first time
            assert time.monotonic() < end, "the driver does not start"
            time.sleep(0.1)
        with graph_hand(running, None) as hand:
            # Nothing else commands the hand, so that its watchdog has let it go.
            start = hand.position("FFJ10")
            reached = move(hand, "FFJ10", start + 0.2, False)
            assert reached == pytest.approx(start + 0.2, abs=0.1)
            assert torque(IDS["FFJ10"]) and torque(IDS["MFJ20"])
            with pytest.raises(UnknownName, match="thumb"):
                hand.step("thumb", 0.0, False)
            hand.torque_off(("FFJ10",))
            with pytest.raises(StationFault):
                hand.calibrate(False, False)  # far from the zero pose
            assert hand.switch.has_drivers
        # Another program finds the graph by its port, although the bus is the driver's.
        code, said, _ = verb("status", "--port", str(tmp_path / "port"), "--json")
        figures = json.loads(said.splitlines()[-1])
        assert {servo["joint"] for servo in figures["servos"]} == set(IDS), said
        assert {"driver", "reward", "reset"} <= {node["name"] for node in figures["nodes"]}
        port.inject(Fault("overload", id=12))
        code, said, _ = verb("status", "--domain", str(graph.domain))
        assert code == 1 and "overload" in said, said
        code, said, shown = verb("reboot", "FFJ12", "--port", str(tmp_path / "port"))
        assert code == 0 and "FFJ12 restarts" in said, shown
        code, said, shown = verb("torque", "off", "--port", str(tmp_path / "port"))
        assert code == 0, shown
        assert not any(torque(id) for id in IDS.values())
    assert chosen_graph(graph.domain) is None


def test_a_domain_without_a_driver_is_named():
    code, _, said = verb("status", "--domain", "87")
    assert code == 1 and "no driver answers in ROS_DOMAIN_ID=87" in said
