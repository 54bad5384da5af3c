"""A station whose hand, estimator, reward and reset are nodes of the graph.

Lockstep: a step is over when hand and object of the same new stamp are there.
Real pace: a step is over when the control period is; the newest values are taken.
The reward is computed while the next action is chosen and carried out.
"""

import time
from collections import deque
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_srvs.srv import SetBool

from handlab_core.environment.stamp_sync import StampSync
from handlab_core.environment.station import ResetRequest, ResetResult
from handlab_core.errors import (
    BadConfig,
    HandStopped,
    HandWarm,
    ResetFailed,
    RewardLost,
    StationTimeout,
)
from handlab_core.safety import limits
from handlab_core.tasks import Task
from handlab_core.types import (
    SAME_TIME,
    Array,
    Goal,
    JointState,
    ObjectEstimate,
    Reward,
    Sample,
)
from handlab_interfaces import msg as wire
from handlab_interfaces.action import Reset
from handlab_nodes.clients.command_outputs import JOINT_STATE, make_output
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.actions import RestartSafeActionClient
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions

MEMORY = 1000
"""Rewards kept until they are requested; ten seconds at the drivers' 100 Hz."""

ANNOUNCE = 2.0
"""Seconds of wall time without a reward after which the goal is announced again. A node that
publishes as fast as it can may displace the goal from the reward node's queue."""

RESET_TIMEOUT = 300.0
"""Seconds of wall time; three attempts of a reset in real pace, with all stages, take less."""


class GraphStation:
    """Implements `handlab_core.environment.station.Station` over topics and actions; one robot.

    Args:
        node: owner of the publishers and subscriptions.
        loop: event loop of the node.
        task: task of the episodes.
        lockstep: simulated time waits for every step; False: a step takes a period of wall time.
        output: receiver of the commands, a name in `handlab_nodes.clients.command_outputs.OUTPUTS`.
        watch: watch of the drivers that interrupts the goals of the node; None: nothing does.

    Raises:
        BadConfig: lockstep through a controller, whose commands have no stamp to wait for.
    """

    num_envs = 1

    def __init__(
        self,
        node: Node,
        loop: EventLoop,
        task: Task,
        lockstep: bool,
        output: str = JOINT_STATE,
        watch: DriverMonitor | None = None,
    ) -> None:
        if lockstep and output != JOINT_STATE:
            raise BadConfig(f"command_output {output} needs pace real; in lockstep: {JOINT_STATE}")
        self._node, self._loop, self._task, self._lockstep = node, loop, task, lockstep
        self._watch = watch
        joints, terms = task.hand.joints, len(task.reward_computer().terms)
        hands, objects = cdr_codec.JointStates(joints), cdr_codec.ObjectStates()
        rewards = self._rewards = cdr_codec.Rewards(terms)
        self._hand: JointState | None = None
        self._object: ObjectEstimate | None = None
        self._sync: StampSync[JointState, ObjectEstimate] = StampSync()
        self._newest_pair: Sample | None = None
        self._rewarded: deque[tuple[float, bytes]] = deque(maxlen=MEMORY)  # stamp [s], message
        self._goal: Goal | None = None
        self._announced = self._deadline = 0.0
        self._warm, self._temperatures = False, np.full(len(joints), np.nan)
        self._torque = node.create_client(SetBool, topics.HAND_TORQUE)
        hear = Inbox.of(node).subscribe
        hear(wire.HandStatus, topics.HAND_STATUS, _status(len(joints)), self._on_status, 10)
        self._output = make_output(output, node, task.hand)
        self._goals = node.create_publisher(wire.EpisodeGoal, topics.GOAL, qos.LATCHED)
        self._polled = PolledSubscriptions(node)
        listen = self._polled.listen
        listen(JointStateMsg, topics.HAND_STATES, hands.unpack, self._on_hand, qos.EVERY)
        listen(wire.Reward, topics.REWARD, rewards.keyed, self._on_reward, qos.EVERY)
        # The object's state is the last input of the next action to arrive: the node wakes for it.
        hear(wire.ObjectState, topics.OBJECT_STATE, objects.unpack, self._on_object, qos.EVERY)
        self._reset = RestartSafeActionClient(node, loop, Reset, topics.RESET)

    def reset(self, request: ResetRequest) -> ResetResult:
        """See `Station.reset`; the reset node does it."""
        if len(request.episode) != 1:
            raise BadConfig(f"a graph has one robot, not {len(request.episode)}")
        self._await(lambda: self._hand is not None, f"a state on {topics.HAND_STATES}")
        self._check_warmth()
        self._polled.take()  # in real pace time has gone on since the last episode
        assert self._hand is not None
        began = self._hand.stamp
        goal = Reset.Goal(object_angle=float(request.object_angle[0]), teleport=request.teleport)
        goal.since = convert.to_stamp(began[0])
        while (answer := self._reset.ask(goal, RESET_TIMEOUT)) is None:
            self._node.get_logger().warning("the reset node was replaced; asking the new one")
        if answer.message == HandStopped.MESSAGE:
            raise HandStopped
        if not answer.success:
            raise ResetFailed(answer.message, answer.failed_joints)
        return self._begin(request, began, answer)

    def begin(self, request: ResetRequest) -> ResetResult:
        """Begin an episode from the present state; see `reset`."""
        self._await(lambda: self._together(0.0), "hand and object")
        self._check_warmth()
        self._polled.take()
        assert self._hand is not None
        stamp = self._hand.stamp
        answer = Reset.Result(stamp=convert.to_stamp(stamp[0]))
        return self._begin(request, stamp, answer)

    def _begin(self, request: ResetRequest, began: Array, answer: Reset.Result) -> ResetResult:
        """Announce the goal, from the final state of the reset on."""
        stamp = convert.from_stamp(answer.stamp)
        self._await(lambda: self._together(stamp), "hand and object after the reset")
        assert self._newest_pair is not None
        hand, obj = self._newest_pair.hand, self._newest_pair.object
        self._goal = Goal(request.episode, hand.stamp, request.goal_angle, request.goal_velocity)
        self._rewarded.clear()
        self._announce()
        self._deadline = time.monotonic()
        duration = hand.stamp - began
        return ResetResult(hand, obj, self._goal, duration, np.array([answer.attempts]))

    def _announce(self) -> None:
        """Publish the goal."""
        assert self._goal is not None
        self._announced = time.monotonic()
        self._goals.publish(convert.goal_msg(self._goal))

    def step(self, q: Array) -> Sample:
        """See `Station.step`."""
        return self._step(q, np.inf)

    def let_go(self, hold: float = 0.0) -> Sample:
        """See `Station.let_go`."""
        assert self._hand is not None
        return self._step(self._hand.q, hold)

    def _step(self, q: Array, effort: float) -> Sample:
        """Send targets with an upper limit of the effort [N m], and wait for the next state."""
        assert self._hand is not None and self._goal is not None
        stamp = float(self._hand.stamp[0])
        due = stamp + SAME_TIME  # a newer stamp belongs to another state
        self._loop.wait(self._output.heard, f"a subscriber of {self._output.topic}")
        self._output.send(q, stamp, effort)
        try:
            if self._lockstep:
                self._loop.wait(lambda: self._seen(due), "the object's state after a step")
            else:
                self._deadline += self._task.period
                if self._deadline < time.monotonic():  # a step late: do not race to catch up
                    self._deadline = time.monotonic() + self._task.period
                while (left := self._deadline - time.monotonic()) > 0:
                    self._loop.once(left)
            self._await(lambda: self._together(due), "hand and object after a step")
        except StationTimeout as error:
            raise StationTimeout(f"{error}; {self._newest()}") from None
        self._check_warmth()
        assert self._newest_pair is not None
        return self._newest_pair

    def reward(self, sample: Sample) -> Reward:
        """See `Station.reward`; rewards arrive in the order of their stamps."""
        stamp = float(sample.object.stamp[0])
        rewarded = self._rewarded

        def decided() -> bool:
            while rewarded and rewarded[0][0] < stamp:
                rewarded.popleft()
            if not rewarded and time.monotonic() - self._announced > ANNOUNCE:
                self._announce()
            return bool(rewarded)

        try:
            self._await(decided, "the reward of a step")
        except StationTimeout as error:
            raise StationTimeout(f"{error}; {self._newest()}") from None
        found, data = rewarded[0]
        if found != stamp:
            raise RewardLost(
                f"{topics.REWARD} has none for the state at {stamp:.3f} s, but one for the later "
                f"state at {found:.3f} s: a message was lost on the way to it"
            )
        return self._rewards.unpack(data)

    def rest(self) -> float:
        """See `Station.rest`; the driver says when the hand is warm, and when it has cooled."""
        log = self._node.get_logger()
        log.info(f"resting: the hand is warm, {np.nanmax(self.temperatures()):.0f} degrees Celsius")
        self._polled.take()
        assert self._hand is not None
        began = self._hand.stamp
        self._engage(False)
        driverless = lambda: not self._node.count_publishers(topics.HAND_STATUS)  # noqa: E731
        cool = lambda: not self._warm  # noqa: E731
        self._loop.wait(cool, "the hand to cool", limits.COOLING_TIMEOUT, driverless)
        self._engage(True)
        self._polled.take()
        rested = float((self._hand.stamp - began)[0])
        log.info(f"the hand has cooled in {rested:.0f} s; going on")
        return rested

    def await_engaged(self) -> None:
        """See `Station.await_engaged`; the drivers say when it is."""
        log = self._node.get_logger()
        log.warning("the hand was stopped; waiting until a person engages it again")
        if self._watch is not None:
            self._watch.await_engaged(self._loop)
        self._polled.take()
        log.info("the hand is engaged again")

    def temperatures(self) -> Array:
        """See `Station.temperatures`."""
        return self._temperatures[None, :]

    def close(self) -> None:
        """Destroy the polled subscriptions; the caller owns the node."""
        self._polled.node.destroy_node()

    def _check_warmth(self) -> None:
        if self._warm:
            raise HandWarm(f"{topics.HAND_STATUS} asks for a pause")

    def _engage(self, engaged: bool) -> None:
        self._loop.ask(self._torque, SetBool.Request(data=engaged), topics.HAND_TORQUE)

    def _on_status(self, status: tuple[bool, Array]) -> None:
        self._warm, self._temperatures = status

    def _on_hand(self, state: JointState) -> None:
        self._hand = state
        self._sync.add_a(state)

    def _on_object(self, estimate: ObjectEstimate) -> None:
        self._object = estimate
        self._sync.add_b(estimate)
        self._polled.take()

    def _on_reward(self, reward: tuple[int, float, bytes]) -> None:
        episode, stamp, data = reward
        if self._goal is None or episode != self._goal.episode[0]:
            return
        if not self._rewarded or self._rewarded[-1][0] < stamp:  # else a repetition
            self._rewarded.append((stamp, data))

    def _newest(self) -> str:
        """Return the newest stamps, for an error that names the silent node."""
        reward = f"{self._rewarded[-1][0]:.3f} s" if self._rewarded else "none"
        hand, obj = (
            "none" if state is None else f"{state.stamp[0]:.3f} s"
            for state in (self._hand, self._object)
        )
        drops = Inbox.of(self._node).drops.get(topics.REWARD)
        refused = f"; refused on {topics.REWARD}: {drops.reason}" if drops else ""
        return f"newest stamps: hand {hand}, object {obj}, reward {reward}{refused}"

    def _seen(self, since: float) -> bool:
        return self._object is not None and bool(self._object.stamp[0] >= since)

    def _together(self, since: float) -> bool:
        for pair in self._sync.pairs():
            self._newest_pair = Sample(*pair)
        return self._newest_pair is not None and bool(self._newest_pair.hand.stamp[0] >= since)

    def _await(self, done: Callable[[], bool], what: str) -> None:
        if not done():
            self._polled.wait(self._loop, done, what)


def _status(joints: int) -> Callable[[bytes], tuple[bool, Array]]:
    """Return a decoder of a hand's status: whether it asks for a pause, and its temperatures."""

    def read(message: wire.HandStatus) -> tuple[bool, Array]:
        return message.pause_requested, convert.temperatures(message, joints)

    return convert.decoder(wire.HandStatus, read)
