"""An Allegro hand from the backend down to the wire, with MuJoCo behind the emulated firmware."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import JointState
from typer.testing import CliRunner

from handlab.cli.program import make_app
from handlab.graph.config import GraphConfig, build_graph, on_machine
from handlab.graph.processes import BackgroundGraph
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.options import EMULATED
from handlab_core.reset.motor import ResetConfig
from handlab_core.tasks import make_task
from handlab_core.types import Command
from handlab_hardware.allegro.backend import AllegroBackend, make_backend
from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.emulator import EmulatedHand, serve
from handlab_hardware.station_file import station_path
from handlab_interfaces.action import Reset
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.actions import RestartSafeActionClient
from handlab_nodes.runtime.event_loop import guest
from handlab_sim.backend import MujocoBackend
from handlab_sim.torque_world import TorqueWorld

CHANNEL = "emulated_allegro"
HAND, VALVE = make_hand("allegro"), FIXTURES.make("valve")


@pytest.fixture
def backend():
    wire, stop = CanBus("virtual", CHANNEL), threading.Event()
    emulated = EmulatedHand(wire.send, TorqueWorld(HAND, VALVE))
    thread = threading.Thread(target=serve, args=(emulated, wire, stop))
    thread.start()
    backend = AllegroBackend(HAND, AllegroConfig("virtual", CHANNEL))
    backend.activate()
    yield backend
    backend.close()
    stop.set()
    thread.join()
    wire.close()


def test_a_pose_is_held_as_in_the_world_that_policies_learn_in(backend):
    """Gravity and contacts included, the joints come to stand where those of `MujocoBackend` do."""
    target = np.clip(HAND.nominal + 0.15, HAND.lower, HAND.upper)[None]
    command = Command(target, HAND.max_effort[None])
    backend = MujocoBackend(HAND, VALVE)
    for _ in range(20):
        expected = backend.step(command, None, 0.1).hand
    deadline, worst = time.monotonic() + 60.0, np.inf
    while worst > np.deg2rad(1.0) and time.monotonic() < deadline:  # a busy machine is late
        measured = backend.step(command, None, 0.01).hand
        worst = np.abs(measured.q - expected.q).max()
        time.sleep(0.01)
    assert worst <= np.deg2rad(1.0)
    assert np.abs(measured.q - target).max() < np.deg2rad(3.0)


def test_hand_and_fixture_go_home_together_through_the_graph_and_both_wires(tmp_path):
    """Two drivers, on CAN and on a serial port, and a reset that needs both."""
    task, angle = make_task("allegro_valve"), []
    start = task.start(0, 0).object_angle
    config = GraphConfig(task.name, pace="real", runner=False, learner=False)
    config = on_machine(config, "allegro", port=EMULATED)
    with (
        BackgroundGraph(config, tmp_path / "nodes.log") as graph,
        guest("learner", graph.domain) as (node, loop),
    ):
        node.create_subscription(
            JointState, topics.FIXTURE_STATES, lambda m: angle.append(m.position[0]), qos.STREAM
        )
        loop.wait(lambda: len(angle) > 0, "the fixture")
        assert abs(angle[-1] - start) > 1.0  # it has a way to go
        result = RestartSafeActionClient(node, loop, Reset, topics.RESET).ask(
            Reset.Goal(object_angle=start), 90.0
        )
    assert result.success, result.message
    assert abs(angle[-1] - start) < ResetConfig().tolerance + np.deg2rad(1.0)


def test_the_health_check_runs_at_a_station_without_a_fixture(tmp_path):
    """With one driver and one wire, through the graph."""
    facts = yaml.safe_load(station_path("allegro").read_text())
    del facts["dynamixel"]
    station = tmp_path / "station.yaml"
    station.write_text(yaml.safe_dump(facts | {"fixture": "bare"}))
    config = GraphConfig("allegro_pose", pace="real", learner=False)
    config = on_machine(config, "allegro", str(station), EMULATED)
    assert "fixture_driver" not in {node.name for node in build_graph(config)}
    task = make_task("allegro_pose")
    n, o = task.hand.n, task.observation_size
    policy = GaussianPolicy(
        (np.zeros((o, n)),), (np.zeros(n),), np.full(n, -5.0), np.zeros(o), np.ones(o), 1
    )
    with (
        BackgroundGraph(config, tmp_path / "nodes.log") as graph,
        guest("learner", graph.domain) as (node, loop),
    ):
        [episode] = GraphSampler(node, loop, task).sample(policy, EpisodePlan(0, [0]))
    assert episode.steps == task.steps and np.isfinite(episode.trajectory.rewards).all()


def test_the_channel_that_is_printed_is_where_the_hand_is(tmp_path):
    """As docs/allegro.md says: with the options, and a station file of what is printed."""
    group = f"239.76.{os.getpid() % 250}.7"
    words = ["emulate", "allegro", "--interface", "udp_multicast", "--channel", group]
    program = [sys.executable, "-m", "handlab.cli", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(
                r"an Allegro hand v4 on (\S+):(\S+), its fixture on (\S+); .*\n", line
            )
            assert found and found[2] == group and Path(found[3]).exists(), line
            facts = yaml.safe_load(station_path("allegro").read_text())
            facts["allegro"] |= {"interface": found[1], "channel": found[2]}
            facts["dynamixel"] |= {"port": found[3]}
            station = tmp_path / "station.yaml"
            station.write_text(yaml.safe_dump(facts))
            backend = make_backend("allegro", "valve", station)
            assert np.isfinite(backend.read().hand.q).all()
            backend.close()
            second = subprocess.run(program, capture_output=True, text=True, timeout=60)
            assert second.returncode and "already; choose another channel" in second.stderr
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["dynamixel", "--interface", "socketcan"],
        ["allegro", "--interface", "socketcan"],
        ["allegro", "--port", "socketcan:can0", "--channel", "can1"],
    ],
)
def test_options_of_the_bus_that_do_not_fit_are_refused(words):
    result = CliRunner().invoke(make_app(), ["emulate", *words])
    assert isinstance(result.exception, BadConfig)
