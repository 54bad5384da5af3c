"""Panels and buttons of the browser console.

viser calls buttons from threads of its own. They put requests into a queue, which the node's loop
carries out; the emergency stop alone leaves at once from the thread of its button.
"""

import math
import queue
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import viser
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from handlab.browser.handles import literal, set_if_changed
from handlab.graph.emergency_stop import DriverSwitch
from handlab.operation.motion import PERIOD, SPEED, toward
from handlab.operation.report import number
from handlab_core.tasks import Task
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Reset
from handlab_interfaces.srv import Calibrate, Jog, JointTorque, Reboot
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime import diagnostics
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.safe_actions import SafeActionClient

PANEL_PERIOD = 0.25
"""s; between two updates of the tables; people do not read faster."""

JOG_END = 2.0
"""s; time after the newest move of a slider in which the joint is held."""

LATE = 5.0
"""s; a node is late that has not reported for so long; nodes report once a second."""

RATE_SPAN = 2.0
"""s; rates of topics are counted over this time at least."""

MOST_NAMES = 4
"""Number of nodes that are named at one end of a topic; more are counted."""

HEARD = (
    topics.HAND_STATES, topics.FIXTURE_STATES, topics.HAND_SENT, topics.GOAL, topics.REWARD,
    topics.EPISODE, topics.DIAGNOSTICS,
)  # fmt: skip
"""Topics whose rates are shown."""

FOLLOW = 0.5
"""Degrees; a slider follows its joint when it has moved so far. Chosen: above the noise at rest."""

STOP_KEY: Literal["space"] = "space"

LEVELS = {diagnostics.OK: "ok", diagnostics.WARN: "**warning**", diagnostics.ERROR: "**ERROR**"}


class Console:
    """Shows state and diagnostics of a station, and lets a person act on it.

    Args:
        node: the viewer's node, spun by the caller.
        server: web server of the page.
        task: the task of the graph.
    """

    def __init__(self, node: Node, server: viser.ViserServer, task: Task) -> None:
        self._node, self._gui, self._task = node, server.gui, task
        self._server = server
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._joints = (*task.hand.joints, task.fixture.joint)
        self._position = dict.fromkeys(self._joints, math.nan)
        self._effort = dict.fromkeys(self._joints, math.nan)
        self._target = dict.fromkeys(self._joints, math.nan)
        self._status: dict[str, tuple[float, float, int]] = {}
        self._nodes: dict[str, tuple[bytes, str, float]] = {}  # with the time of the report, s
        self._traffic = Traffic()
        self._terms = np.zeros(len(task.reward_terms))
        self._return, self._steps, self._good = 0.0, 0, 0
        self._episode = self._episodes = self._successes = 0
        self._jogs: dict[str, tuple[float, float]] = {}  # joint: wanted, rad, and time of the wish
        self._goals: dict[str, float] = {}  # rad; target of a joint that is jogged
        self._sliders: dict[str, viser.GuiSliderHandle[Any]] = {}
        self._next_jog = self._due = self._rates_due = 0.0
        self._clients: dict[str, Any] = {}
        self._switch = DriverSwitch(node, topics.DRIVERS[:1])
        self._labels = node.create_publisher(String, topics.LABEL, qos.EPISODES)
        self._reset = SafeActionClient(node, Reset, topics.RESET)
        self._listen()
        self._build()

    # Topics.

    def _listen(self) -> None:
        hear = Inbox.of(self._node).subscribe
        for topic in (topics.HAND_STATUS, topics.FIXTURE_STATUS):
            read = convert.decoder(wire.HandStatus, lambda message: message)
            hear(wire.HandStatus, topic, read, self._on_status, qos.REPORT)
        everything = convert.decoder(DiagnosticArray, lambda message: message)
        hear(
            DiagnosticArray, topics.DIAGNOSTICS, everything, self._on_diagnostics, qos.EVERY,
            ordered=True,
        )  # fmt: skip
        sent = cdr_codec.Commands(list(self._task.hand.joints)).unpack
        hear(JointState, topics.HAND_SENT, sent, self._on_sent, qos.STREAM)
        episodes = convert.decoder(wire.Episode, lambda message: bool(message.success))
        hear(wire.Episode, topics.EPISODE, episodes, self._on_episode, qos.EPISODES)

    def on_joints(self, names: tuple[str, ...], q: Any, effort: Any) -> None:
        """Take a reading of joints, rad and N m."""
        is_hand = names[0] in self._task.hand.joints
        self._traffic.count(topics.HAND_STATES if is_hand else topics.FIXTURE_STATES)
        self._position.update(zip(names, q.tolist(), strict=True))
        self._effort.update(zip(names, effort.tolist(), strict=True))

    def on_goal(self, episode: int) -> None:
        """Begin to count the reward of an episode."""
        self._traffic.count(topics.GOAL)
        self._episode = episode
        self._terms[:] = 0.0
        self._return, self._steps, self._good = 0.0, 0, 0

    def on_reward(self, total: float, terms: tuple[float, ...], success: bool) -> None:
        """Add the reward of a step."""
        self._traffic.count(topics.REWARD)
        self._return, self._steps, self._good = (
            self._return + total, self._steps + 1, self._good + success,
        )  # fmt: skip
        if len(terms) == len(self._terms):
            self._terms += terms

    def _on_status(self, message: wire.HandStatus) -> None:
        rows = zip(
            message.name, message.temperature, message.voltage, message.hardware_error, strict=False
        )
        for name, celsius, volts, error in rows:
            self._status[name] = celsius, volts, error

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._traffic.count(topics.DIAGNOSTICS)
        for status in message.status:
            self._nodes[status.name] = status.level, status.message, time.monotonic()

    def _on_sent(self, command: Any) -> None:
        self._traffic.count(topics.HAND_SENT)
        sent = command[0]
        held = np.where(sent.effort[0] > 0.0, sent.q[0], np.nan)
        self._target.update(zip(self._task.hand.joints, held.tolist(), strict=True))

    def _on_episode(self, success: bool) -> None:
        self._traffic.count(topics.EPISODE)
        self._episodes += 1
        self._successes += success

    # Widgets.

    def _build(self) -> None:
        gui = self._gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.add_markdown(f"{self._task.hand.name} hand, task **{self._task.name}**")
        self._button("STOP (space)", self._stop, color="red", at_once=True)
        gui.add_command("STOP", hotkey=STOP_KEY).on_trigger(lambda _: self._stop())
        self._button("Engage again", self._engage)
        self._said = gui.add_markdown("ready")
        with gui.add_folder("Episode"):
            self._progress = gui.add_markdown("-")
            self._button("Pause after this episode", partial(self._pause, True))
            self._button("Resume", partial(self._pause, False))
            self._button("Reset", self._start_reset)
        with gui.add_folder("Joints"):
            self._table = gui.add_markdown("-")
            self._button("Torque on", partial(self._torque, True))
            self._button("Torque off", partial(self._torque, False))
        with gui.add_folder("Nodes"):
            self._words = gui.add_markdown("-")
        with gui.add_folder("Topics", expand_by_default=False):
            self._rates = gui.add_markdown("-")
        with gui.add_folder("Jog", expand_by_default=False):
            for joint, lower, upper in zip(
                self._task.hand.joints, self._task.hand.lower, self._task.hand.upper, strict=True
            ):
                self._slider(joint, float(np.degrees(lower)), float(np.degrees(upper)))
        with gui.add_folder("Recording", expand_by_default=False):
            self._button("Save the last seconds", self._keep)
            self._button("Record", partial(self._record, True))
            self._button("End of recording", partial(self._record, False))
            label = gui.add_text("Label", "")
            self._button("Add the label", lambda: self._label(label.value))
        with gui.add_folder("Motors", expand_by_default=False):
            self._button("Calibrate: this pose is zero", self._calibrate)
            chosen = gui.add_dropdown("Joint", self._joints)
            self._button("Reboot this joint's motor", lambda: self._reboot(chosen.value))
            self._button("Release this joint", lambda: self._release(chosen.value))

    def _button(
        self, label: str, act: Callable[[], None], color: Any = None, at_once: bool = False
    ) -> None:
        button = self._gui.add_button(label, color=color)
        button.on_click(lambda _: act() if at_once else self._requests.put(act))

    def _slider(self, joint: str, lower: float, upper: float) -> None:
        low, high = round(lower, 1), round(upper, 1)
        begin = min(max(0.0, low), high)  # until the joint's position comes
        slider = self._sliders[joint] = self._gui.add_slider(
            joint, min=low, max=high, step=0.1, initial_value=begin
        )

        def on_update(event: viser.GuiEvent[Any]) -> None:
            if event.client is None:  # not a person: the slider follows its joint
                return
            wanted = math.radians(float(slider.value))
            self._requests.put(lambda: self._jog_to(joint, wanted))

        slider.on_update(on_update)

    # Actions.

    def _stop(self) -> None:
        self._jogs.clear()
        self._say(f"STOPPED: the hand is let go ({self._switch.stop()})")

    def _engage(self) -> None:
        self._switch.engage(lambda failure: self._say(failure or "the hand is engaged again"))

    def _torque(self, on: bool) -> None:
        request = SetBool.Request(data=on)
        if on:  # joints that were released alone, too
            held = JointTorque.Request(joints=[], torque=True)
            self._ask(JointTorque, self._of(topics.JOINT_TORQUE), held, "")
        words = "torque on: the next command moves the hand" if on else "torque off"
        self._ask(SetBool, topics.HAND_TORQUE, request, words)

    def _release(self, joint: str) -> None:
        request = JointTorque.Request(joints=[joint], torque=False)
        self._ask(JointTorque, self._of(topics.JOINT_TORQUE), request, f"{joint} is released")

    def _reboot(self, joint: str) -> None:
        request = Reboot.Request(joint=joint)
        self._ask(Reboot, self._of(topics.REBOOT), request, f"{joint} restarts")

    def _calibrate(self) -> None:
        request = Calibrate.Request(overwrite=True)
        self._ask(Calibrate, self._of(topics.CALIBRATE), request, "calibrated")

    def _pause(self, on: bool) -> None:
        words = "paused after this episode" if on else "goes on"
        self._ask(SetBool, topics.PAUSE, SetBool.Request(data=on), words)

    def _keep(self) -> None:
        self._ask(Trigger, topics.KEEP, Trigger.Request(), "saved")

    def _record(self, on: bool) -> None:
        words = "recording" if on else "recording ended"
        self._ask(SetBool, topics.RECORD, SetBool.Request(data=on), words)

    def _label(self, text: str) -> None:
        self._labels.publish(String(data=text))
        self._say(f"label added: {text}")

    def _start_reset(self) -> None:
        if not self._reset.server_is_ready():
            self._say("no node `reset` is there")
            return
        self._say("resetting")
        sending = self._reset.send_goal_async(Reset.Goal())

        def on_accepted(future: Any) -> None:
            if not future.result().accepted:
                self._say("the reset is busy")
                return
            future.result().get_result_async().add_done_callback(on_result)

        def on_result(future: Any) -> None:
            answer = future.result()
            done = answer.status == GoalStatus.STATUS_SUCCEEDED and answer.result.success
            why = answer.result.message or "the hand did not reach its pose in time"
            self._say("the reset is done" if done else f"reset failed: {why}")

        sending.add_done_callback(on_accepted)

    def _jog_to(self, joint: str, wanted: float) -> None:
        goes_on = joint in self._jogs and joint in self._goals
        self._goals = {joint: self._goals[joint]} if goes_on else {}
        self._jogs = {joint: (wanted, time.monotonic())}

    def _jog(self, now: float) -> None:
        """Make the next step of a jog; the hand is held while the slider is fresh."""
        for joint, (wanted, since) in list(self._jogs.items()):
            goal = self._goals.get(joint, self._position[joint])
            if (now - since > JOG_END and abs(wanted - goal) < SPEED * PERIOD) or math.isnan(goal):
                del self._jogs[joint]
                self._goals.pop(joint, None)
                continue
            self._goals[joint] = toward(goal, wanted)
            request = Jog.Request(joint=joint, position=self._goals[joint])
            self._ask(Jog, self._of(topics.JOG), request, "")

    def _of(self, name: str) -> str:
        return topics.of_driver(topics.DRIVERS[0], name)

    def _ask(self, kind: Any, name: str, request: Any, done: str) -> None:
        """Call a service, and show the answer when it comes."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(kind, name)
        if not client.service_is_ready() and not client.wait_for_service(0.5):
            self._say(f"nothing serves {name}")
            return

        def on_answer(future: Any) -> None:
            answer = future.result()
            if not answer.success:
                self._jogs.clear()
                self._say(f"refused: {answer.message or name}")
            elif done:
                self._say(f"{done} {getattr(answer, 'message', '')}".strip())

        client.call_async(request).add_done_callback(on_answer)

    def _say(self, text: str) -> None:
        self._said.content = literal(text)

    # Called by the node's loop.

    def work(self) -> None:
        """Carry out requests, and update the tables."""
        while not self._requests.empty():
            self._requests.get()()
        now = time.monotonic()
        if self._jogs and now >= self._next_jog:
            self._next_jog = now + PERIOD
            self._jog(now)
        if now >= self._due:
            self._due = now + PANEL_PERIOD
            if self._server.get_clients():
                self._show()

    def _show(self) -> None:
        set_if_changed(self._progress, "content", self._episode_text())
        set_if_changed(self._table, "content", self._joint_text())
        set_if_changed(self._words, "content", self._node_text())
        self._follow()
        if time.monotonic() >= self._rates_due:
            self._rates_due = time.monotonic() + RATE_SPAN
            set_if_changed(self._rates, "content", self._topic_text())

    def _follow(self) -> None:
        """Set the sliders to their joints, except those that a person moves."""
        for joint, slider in self._sliders.items():
            angle = math.degrees(self._position[joint])
            if joint not in self._jogs and abs(angle - slider.value) > FOLLOW:
                slider.value = min(max(round(angle, 1), slider.min), slider.max)

    def _episode_text(self) -> str:
        if not self._steps and not self._episodes:
            return "no episode has begun"
        rate = f"{self._successes} of {self._episodes} episodes succeeded"
        lines = [
            f"episode {self._episode}, step {self._steps}: return **{self._return:.1f}**, at the "
            f"goal in {self._good} steps; {rate}",
            "",
            "| term | sum |",
            "|---|--:|",
            *(
                f"| {name} | {value:.2f} |"
                for name, value in zip(self._task.reward_terms, self._terms, strict=True)
            ),
        ]
        return "\n".join(lines)

    def _joint_text(self) -> str:
        lines = ["| joint | deg | target | N m | °C | V |", "|---|--:|--:|--:|--:|--:|"]
        for joint in self._joints:
            celsius, volts, error = self._status.get(joint, (math.nan, math.nan, 0))
            name = f"**{joint} error {error}**" if error else joint
            cells = (
                number(math.degrees(self._position[joint]), 1),
                number(math.degrees(self._target[joint]), 1),
                number(self._effort[joint], 2),
                number(celsius, 0),
                number(volts, 1),
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _node_text(self) -> str:
        now = time.monotonic()
        rows = [
            f"| {literal(name)} | {_state(level, now - since)} | {literal(message)} |"
            for name, (level, message, since) in sorted(self._nodes.items())
        ]
        return "\n".join(["| node | state | says |", "|---|---|---|", *rows])

    def _topic_text(self) -> str:
        """Return a list: a table of four columns is wider than the panel."""
        now = time.monotonic()
        return "\n".join(
            f"- {topic}, **{number(self._traffic.rate(topic, now), 0)} Hz**: "
            f"{self._ends(topic, self._node.get_publishers_info_by_topic)} → "
            f"{self._ends(topic, self._node.get_subscriptions_info_by_topic)}"
            for topic in HEARD
        )

    def _ends(self, topic: str, find: Callable[[str], list[Any]]) -> str:
        """Return the names of the nodes at one end of a topic, without this one."""
        ends = find(self._node.resolve_topic_name(topic))
        # A node may receive by a node of its own, `_NAME_listener`.
        names = {end.node_name.removeprefix("_").removesuffix("_listener") for end in ends}
        names -= {self._node.get_name()}
        few = len(names) <= MOST_NAMES
        return ", ".join(sorted(names)) or "no node" if few else f"{len(names)} nodes"


class Traffic:
    """Counts the messages of topics; rates are those between two readings."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._marks: dict[str, tuple[float, int, float]] = {}  # s, count, Hz

    def count(self, topic: str) -> None:
        """Count a message."""
        self._counts[topic] = self._counts.get(topic, 0) + 1

    def rate(self, topic: str, now: float) -> float:
        """Return the rate of a topic in Hz; NaN before its first message.

        Args:
            topic: name.
            now: s.
        """
        count = self._counts.get(topic, 0)
        if not count:
            return math.nan
        since, counted, rate = self._marks.setdefault(topic, (now, count, math.nan))
        if now - since >= RATE_SPAN:
            rate = (count - counted) / (now - since)
            self._marks[topic] = now, count, rate
        return rate


def _state(level: bytes, age: float) -> str:
    """Return the state of a node in words, from its newest report and the age of that [s]."""
    return f"**LATE {age:.0f} s**" if age > LATE else LEVELS.get(level, "?")
