"""The graph on a hand that is emulated down to the wire: SDK, pseudo-terminal, servos, MuJoCo."""

import time
from collections import defaultdict
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
import yaml
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.tasks import make_task
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.dynamixel.emulator.firmware.loop import LoopConfig
from handlab_hardware.dynamixel.emulator.tap import GoalTap
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.station_file import load_station, station_path
from handlab_interfaces.action import Rollout
from handlab_interfaces.msg import Policy
from handlab_interfaces.srv import Calibrate, JointTorque, Reboot
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.messages.convert import from_stamp
from handlab_nodes.runtime.event_loop import guest

TASK = make_task("valve")
QUICK_HEAT = LoopConfig(thermal=ThermalModel(rise=0.0, time_constant=10.0))


class Bench:
    """Watches one driver whose servos are emulated in this process."""

    def __init__(self, node, loop, port):
        self.node, self.loop, self.port = node, loop, port
        self.stamps, self.problem = [], ""
        node.create_subscription(JointState, topics.HAND_STATES, self._on_state, qos.STREAM)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_state(self, message):
        self.stamps.append(from_stamp(message.header.stamp))

    def _on_diagnostics(self, message):
        for status in message.status:
            if status.name == "driver":
                self.problem = status.message if status.level == status.ERROR else ""

    def until(self, done, what, timeout=60.0):
        began = time.monotonic()
        self.loop.wait(done, what, timeout)
        return time.monotonic() - began

    def moves(self):
        """Wait until new states come."""
        seen = len(self.stamps)
        self.until(lambda: len(self.stamps) > seen + 5, "new states")

    def ask(self, kind, topic, **fields):
        client = self.node.create_client(kind, topic)
        self.until(client.service_is_ready, topic)
        return self.loop.result(client.call_async(kind.Request(**fields)), topic)

    def register(self, joint, name):
        """What a servo's control table says."""
        joints = [*TASK.hand.joints, TASK.fixture.joint]
        return self.port.bus.loop.servos[joints.index(joint)].table.get(name)


@contextmanager
def bench_on(folder, station=None, **config):
    """A bench on emulated servos; without runner and learner, unless they are asked for."""
    config = GraphConfig(**{"runner": False, "learner": False} | config)
    with (
        emulated_graph(config, folder, station, QUICK_HEAT) as (port, graph),
        guest("learner", graph.domain) as (node, loop),
    ):
        bench = Bench(node, loop, port)
        bench.moves()
        yield bench


def test_the_time_of_emulated_servos_is_the_time_of_day_and_there_is_no_clock(tmp_path):
    with bench_on(tmp_path) as bench:
        assert bench.stamps[-1] == pytest.approx(time.time(), abs=30.0)
        stamps = []
        bench.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: stamps.append(from_stamp(m.header.stamp)), 10
        )
        bench.until(lambda: len(stamps) >= 3, "/diagnostics")
        assert stamps[-1] == pytest.approx(time.time(), abs=30.0)
        assert bench.node.count_publishers("/clock") == 0


def test_a_hardware_error_is_told_by_name_and_one_servo_is_rebooted(tmp_path):
    with bench_on(tmp_path) as bench:
        bench.port.inject(Fault("overload", id=12))
        bench.until(lambda: "overload" in bench.problem, "the overload")
        assert "FFJ12" in bench.problem
        assert not bench.ask(Reboot, "driver/reboot", joint="FFJ99").success
        assert bench.ask(Reboot, "driver/reboot", joint="FFJ12").success
        bench.until(lambda: bench.problem == "", "the servo to be well")
        assert bench.register("FFJ12", "hardware_error_status") == 0


def test_an_unplugged_adapter_is_announced_and_comes_back_and_nothing_old_is_told_as_new(tmp_path):
    with bench_on(tmp_path) as bench:
        bench.port.inject(Fault("unplug", seconds=2.0))
        bench.until(lambda: "plug it in" in bench.problem, "the loss")
        bench.until(lambda: bench.problem == "", "the adapter to be back")
        bench.moves()
        gaps = np.diff(bench.stamps)
        assert (gaps > 0).all()
        assert gaps.max() > 1.5  # told nothing while there was nothing to tell


def test_every_lifecycle_transition_does_to_the_torque_what_it_says(tmp_path):
    with bench_on(tmp_path) as bench:

        def torques():
            return {bench.register(joint, "torque_enable") for joint in TASK.hand.joints}

        def change(transition):
            answer = bench.ask(
                ChangeState, "driver/change_state", transition=Transition(id=transition)
            )
            assert answer.success

        bench.until(lambda: torques() == {0}, "the hand to be let go when nobody commands it")
        change(Transition.TRANSITION_DEACTIVATE)
        change(Transition.TRANSITION_ACTIVATE)
        assert torques() == {1}  # held where it is
        assert bench.register("FFJ11", "bus_watchdog") > 0
        change(Transition.TRANSITION_DEACTIVATE)
        assert torques() == {0}
        change(Transition.TRANSITION_CLEANUP)
        assert bench.register("FFJ11", "bus_watchdog") == 0


def test_single_joints_are_let_go_by_service(tmp_path):
    with bench_on(tmp_path) as bench:
        nominal = TASK.hand.nominal.tolist()
        commands = bench.node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        message = JointState(name=list(TASK.hand.joints), position=nominal)

        def torques(expected):
            commands.publish(message)
            joints = ("FFJ10", "FFJ11")
            return [bench.register(joint, "torque_enable") for joint in joints] == expected

        bench.until(lambda: torques([1, 1]), "the hand to hold")
        joints = {"joints": ["FFJ10"], "torque": False}
        assert bench.ask(JointTorque, "driver/joint_torque", **joints).success
        bench.until(lambda: torques([0, 1]), "one joint to be let go")
        assert bench.ask(JointTorque, "driver/joint_torque", joints=[], torque=True).success
        bench.until(lambda: torques([1, 1]), "all to hold")
        joints = {"joints": ["FFJ10", "thumb"], "torque": False}
        refused = bench.ask(JointTorque, "driver/joint_torque", **joints)
        assert "FFJ10" in refused.message and not refused.success
        bench.until(lambda: torques([1, 1]), "all to hold, as none was let go")
        for _ in range(20):
            assert not torques([0, 1]), "a request that was refused let a joint go"
            time.sleep(0.02)


def test_the_commands_told_as_sent_are_those_on_the_wire_also_while_a_servo_is_silent(tmp_path):
    with bench_on(tmp_path) as bench:
        [*servos] = load_station(station_path("claw")).dynamixel.servos[:-1]
        zero, direction = [s.zero for s in servos], [s.direction for s in servos]
        tap, told = GoalTap(), []

        def on_sent(message):
            if any(message.effort):
                assert all(message.effort)
                told.append(tuple(units.rad_to_ticks(message.position, zero, direction)))

        bench.node.create_subscription(JointState, topics.HAND_SENT, on_sent, qos.STREAM)
        commands = bench.node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        bench.port.bus.taps.append(tap)

        def sway(seconds):
            end, joints = time.monotonic() + seconds, list(TASK.hand.joints)
            while time.monotonic() < end:
                q = TASK.hand.target(0.4 * np.sin(5 * time.monotonic() + np.arange(9)))
                commands.publish(JointState(name=joints, position=q.tolist()))
                bench.loop.once(0.01)

        sway(2.0)
        tap.take(), told.clear()
        sway(0.5)
        bench.port.inject(Fault("dead", id=21))
        sway(1.5)
        bench.port.inject(Fault("clear"))
        sway(1.0)
        goals = [goal for goal in tap.take() if not goal.alone]
    wire = [tuple(goal.ticks for goal in goals[i : i + 9]) for i in range(0, len(goals), 9)]
    told = told[5:-5]
    assert len(set(told)) > 50
    assert any(wire[i : i + len(told)] == told for i in range(len(wire)))


def test_the_commands_of_a_stranger_never_reach_the_wire(tmp_path):
    """While no node commands the hand, and while a known one does."""
    with bench_on(tmp_path) as bench:
        tap = GoalTap()
        bench.port.bus.taps.append(tap)
        stranger = rclpy.create_node("stranger", context=bench.node.context)
        streams = {
            topics.HAND_COMMANDS: list(TASK.hand.joints),
            topics.FIXTURE_COMMANDS: [TASK.fixture.joint],
        }
        theirs = {
            topic: stranger.create_publisher(JointState, topic, qos.COMMAND) for topic in streams
        }
        ours = bench.node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        dropped = {}

        def on_diagnostics(message):
            for status in message.status:
                if status.name == "driver":
                    pairs = {pair.key: pair.value for pair in status.values}
                    dropped.update({t: int(pairs.get(f"dropped on {t}", 0)) for t in streams})

        bench.node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        far = {
            topic: (TASK.hand.nominal + 0.5).tolist() if len(joints) > 1 else [2.0]
            for topic, joints in streams.items()
        }

        def shout(also=lambda: None):
            """Publish as a stranger for half a second, and until the driver reports the drops."""
            before, end = dict(dropped), time.monotonic() + 0.5

            def heard():
                also()
                for topic, publisher in theirs.items():
                    publisher.publish(JointState(name=streams[topic], position=far[topic]))
                bench.loop.once(0.01)
                more = all(dropped.get(t, 0) > before.get(t, 0) for t in streams)
                return more and time.monotonic() > end

            bench.until(heard, "the driver to report the stranger's commands")

        try:
            bench.until(
                lambda: all(p.get_subscription_count() for p in theirs.values()), "the driver"
            )
            tap.take()
            shout()
            held = defaultdict[int, list[int]](list)  # maybe none: the hand is released
            for goal in tap.take():
                held[goal.id].append(goal.ticks)
            # Engaged again it holds where it has sagged to; the stranger asks for 326 ticks more.
            assert all(max(ticks) - min(ticks) < 30 for ticks in held.values())

            def hold():
                position = TASK.hand.nominal.tolist()
                ours.publish(JointState(name=streams[topics.HAND_COMMANDS], position=position))

            end = time.monotonic() + 1.5  # at 4 rad/s it comes from anywhere to the pose
            bench.until(lambda: hold() or time.monotonic() > end, "the hand to come to its pose")
            tap.take()
            shout(hold)
            held.clear()
            for goal in tap.take():
                held[goal.id].append(goal.ticks)
            assert len(held) == TASK.hand.n  # the hand alone is commanded, and it stays
            assert all(max(ticks) - min(ticks) < 30 for ticks in held.values())
        finally:
            stranger.destroy_node()


def test_random_transitions_during_rollouts_let_emulated_servos_go_and_the_next_one_runs(tmp_path):
    """Seeded. A driver that is not active has no torque on, on the wire."""
    rng = np.random.default_rng(2)
    o, n = TASK.observation_size, TASK.hand.n
    policy = GaussianPolicy(
        (np.zeros((o, n)),), (np.zeros(n),), np.full(n, -0.5), np.zeros(o), np.ones(o), 1
    )
    active = State.PRIMARY_STATE_ACTIVE
    paths = {
        active: ["deactivate"],
        State.PRIMARY_STATE_INACTIVE: ["activate", "cleanup"],
        State.PRIMARY_STATE_UNCONFIGURED: ["configure"],
    }
    with bench_on(tmp_path, runner=True) as bench:
        policies = bench.node.create_publisher(Policy, topics.POLICY, qos.LATCHED)
        policies.publish(convert.policy_msg(policy, TASK))
        rollout = ActionClient(bench.node, Rollout, topics.ROLLOUT)
        bench.until(rollout.server_is_ready, "the runner")

        def state():
            return bench.ask(GetState, "driver/get_state").current_state.id

        def go(label):
            transition = Transition(label=label)
            return bench.ask(ChangeState, "driver/change_state", transition=transition).success

        def torques():
            return {bench.register(j, "torque_enable") for j in TASK.hand.joints}

        def activate():
            while (now := state()) != active:
                go(paths[now][0])

        def send(**fields):
            goal = Rollout.Goal(policy_version=1, **fields)
            handle = bench.loop.result(rollout.send_goal_async(goal), "acceptance")
            return handle.get_result_async()

        for _ in range(3):
            activate()
            running = send(episodes=range(50))
            bench.loop.rest(rng.uniform(0.0, 3.0))
            assert go("deactivate")
            assert torques() == {0}
            for _ in range(rng.integers(0, 4)):
                assert go(str(rng.choice(paths[state()])))
                if state() != active:
                    assert torques() == {0}
            ended = bench.loop.result(running, "the end of the rollout", 40.0)
            assert ended.status == GoalStatus.STATUS_ABORTED, ended.result
            assert "activ" in ended.result.message or "configured" in ended.result.message
        activate()
        done = bench.loop.result(send(episodes=[0]), "the next rollout", 60.0)
        assert done.status == GoalStatus.STATUS_SUCCEEDED, done.result


def test_a_valve_beyond_half_a_turn_is_still_there_after_its_servo_has_restarted(tmp_path):
    with bench_on(tmp_path) as bench:
        angle, names = [], [TASK.fixture.joint]
        bench.node.create_subscription(
            JointState, topics.FIXTURE_STATES, lambda m: angle.append(m.position[0]), qos.STREAM
        )
        commands = bench.node.create_publisher(JointState, topics.FIXTURE_COMMANDS, qos.COMMAND)
        assert bench.ask(SetBool, topics.FIXTURE_TORQUE, data=True).success

        def turned():
            commands.publish(JointState(name=names, position=[4.0]))
            return angle and angle[-1] > 3.9

        bench.until(turned, "the valve to turn")
        assert bench.ask(SetBool, topics.FIXTURE_TORQUE, data=False).success
        bench.until(lambda: bench.register("valve", "torque_enable") == 0, "the valve to be let go")
        stands = angle[-1]
        assert bench.ask(Reboot, "driver/reboot", joint="valve").success
        bench.until(lambda: bench.register("valve", "bus_watchdog") > 0, "the servo to be armed")
        seen = len(angle)
        bench.until(lambda: len(angle) > seen + 5, "new angles")
        assert bench.register("valve", "present_position") < 4096  # the servo has forgotten
    assert np.array(angle[seen:]) == pytest.approx(stands, abs=1.0)  # and not a turn away


def test_calibration_is_written_once_with_torque_off_and_never_to_the_real_hands_file(tmp_path):
    real = station_path("claw").with_name("claw.calibration.yaml")
    before = real.read_text() if real.exists() else None
    with bench_on(tmp_path) as bench:
        assert bench.ask(SetBool, topics.HAND_TORQUE, data=False).success
        bench.until(lambda: bench.register("FFJ11", "torque_enable") == 0, "the torque to be off")
        far = bench.ask(Calibrate, "driver/calibrate")
        assert not far.success and "degrees from its nominal zero" in far.message
        answer = bench.ask(Calibrate, "driver/calibrate", force=True)
        assert answer.success, answer.message
        again = bench.ask(Calibrate, "driver/calibrate", force=True)
        assert not again.success and "exists" in again.message
        bench.moves()
        hangs = bench.register("FFJ11", "present_position") * RAD_PER_TICK
    assert (real.read_text() if real.exists() else None) == before
    own = tmp_path / "port.emulated.calibration.yaml"
    assert str(own) in answer.message
    zeros = yaml.safe_load(own.read_text())["zeros"]
    assert zeros["FFJ11"] == pytest.approx(hangs, abs=0.2)


@pytest.mark.slow
def test_a_warm_hand_rests_and_the_episode_begins_again(tmp_path):
    with bench_on(tmp_path, runner=True) as bench:
        o, n = TASK.observation_size, TASK.hand.n
        still = GaussianPolicy(
            (np.zeros((o, n)),), (np.zeros(n),), np.zeros(n), np.zeros(o), np.ones(o), 1
        )
        heated = []

        def heat(_):
            if not heated:
                heated.append(True)
                bench.port.inject(Fault("overheat", id=10, celsius=74.0))

        bench.node.create_subscription(JointState, topics.HAND_COMMANDS, heat, qos.COMMAND)
        [episode] = GraphSampler(bench.node, bench.loop, TASK).sample(
            still, EpisodePlan(0, [0], deterministic=True)
        )
    assert episode.time.cooling_s > 1.0
    assert episode.steps == TASK.steps
    assert np.isfinite(episode.temperatures).all()
    assert episode.temperatures.max() < 60.0
