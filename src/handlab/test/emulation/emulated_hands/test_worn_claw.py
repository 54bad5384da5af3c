"""A weak, a loose and a dead servo of an emulated claw are on /diagnostics within seconds."""

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import JointState

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab_core.tasks import make_task
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.event_loop import guest

HAND = make_task("valve").hand
HEALTHY = 6.0  # s; motion before the faults
NOTICED = 5.0  # s; time in which a fault must be reported

FAULTS = {
    "servo 11 (FFJ11) is weak": Fault("weak", id=11, strength=0.7),
    "servo 21 (MFJ21) is loose": Fault("loose", id=21, play=0.15),
    "servo 31 (THJ31) has no torque": Fault("weak", id=31, strength=0.0),
}
"""Beginning of the report, and fault; one servo of each finger."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Reports of the driver before the faults, and the time after which each fault was reported."""
    folder = tmp_path_factory.mktemp("worn")
    config = GraphConfig("valve", runner=False, learner=False)
    with (
        emulated_graph(config, folder) as (port, graph),
        guest("runner", graph.domain) as (node, loop),
    ):
        heard, states, since = [], [], {}

        def on_diagnostics(message):
            for status in message.status:
                if status.name == "driver":
                    heard.append(status)
                    for text in FAULTS:
                        if text in status.message:
                            since.setdefault(text, time.monotonic())

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        node.create_subscription(JointState, topics.HAND_STATES, states.append, qos.STREAM)
        commands = node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        loop.wait(lambda: states and commands.get_subscription_count(), "the driver", 60)

        def sway(seconds, enough=lambda: False):
            end, joints = time.monotonic() + seconds, list(HAND.joints)
            while time.monotonic() < end and not enough():
                q = HAND.target(0.5 * np.sin(5 * time.monotonic() + np.arange(9)))
                commands.publish(JointState(name=joints, position=q.tolist()))
                loop.once(0.02)

        sway(HEALTHY)
        before = list(heard)
        began = time.monotonic()
        for fault in FAULTS.values():
            port.inject(fault)
        sway(3 * NOTICED, lambda: len(since) == len(FAULTS))
    return before, {text: at - began for text, at in since.items()}, heard


def test_a_healthy_hand_that_moves_has_no_worn_servo(reports):
    before, _, _ = reports
    assert before and max(status.level for status in before) < DiagnosticStatus.ERROR
    words = ("is weak", "is loose", "has no torque")
    assert not [status.message for status in before if any(w in status.message for w in words)]


@pytest.mark.parametrize("text", FAULTS)
def test_a_worn_servo_is_reported_in_time(reports, text):
    _, times, heard = reports
    assert times.get(text, np.inf) < NOTICED, heard[-1].message
    assert heard[-1].level == DiagnosticStatus.WARN
