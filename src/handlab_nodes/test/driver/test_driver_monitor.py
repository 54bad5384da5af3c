"""The emergency stop suspends the goals that move the hand; after it they go on."""

import numpy as np
import pytest
from lifecycle_msgs.msg import State, TransitionEvent
from rclpy.action import ActionClient
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import HandStopped, StationFault
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_interfaces.action import ReplayDemonstration
from handlab_interfaces.msg import EpisodeGoal
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.driver import driver_monitor
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.event_loop import guest

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


class Stop:
    """The emergency stop of the driver, and how many episodes have begun."""

    def __init__(self, node, loop):
        self._loop, self.begun = loop, []
        service = topics.of_driver("driver", topics.EMERGENCY_STOP)
        self._client = node.create_client(SetBool, service)
        loop.wait(self._client.service_is_ready, service)
        node.create_subscription(EpisodeGoal, topics.GOAL, self.begun.append, qos.LATCHED)

    def switch(self, stopped):
        answer = self._loop.result(
            self._client.call_async(SetBool.Request(data=stopped)), "the stop"
        )
        assert answer.success, answer.message

    def stop_and_go_on(self, times=1):
        for _ in range(times):  # a person in haste presses more than once
            self.switch(True)
        self._loop.rest(0.5)
        self.switch(False)


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_an_episode_that_is_stopped_is_repeated_and_counted(graph, policy, pace):
    nodes = (*RING, "runner")
    with graph(*nodes, **{name: {"pace": pace} for name in nodes}) as (_, node, loop):
        stop, sampler = Stop(node, loop), GraphSampler(node, loop, TASK)
        stop.switch(True)  # also before anything was asked for
        episodes = sampler.sample(policy(TASK), EpisodePlan(7, [0, 1]))
        loop.rest(0.5)
        assert not stop.begun
        stop.switch(False)
        loop.wait(lambda: stop.begun, "the first episode")
        stop.stop_and_go_on(times=3)
        first, second = episodes
    # Between two of the stops the episode may begin again, which the next one ends.
    assert 1 <= first.time.breaks <= 3 and second.time.breaks == 0
    for episode in (first, second):
        assert episode.steps == TASK.steps
        assert np.isfinite(episode.trajectory.observations).all()


def test_a_replay_that_is_stopped_begins_again(graph):
    nodes = (*RING, "replay")
    goal = ReplayDemonstration.Goal(
        bag=str(share() / "demos" / "valve"), episodes=[0], reset=True
    )  # fmt: skip
    with graph(*nodes, **{name: {"pace": "real"} for name in nodes}) as (_, node, loop):
        stop, client = (
            Stop(node, loop),
            ActionClient(node, ReplayDemonstration, "replay_demonstration"),
        )
        loop.wait(client.server_is_ready, "the replay")
        steps = []
        handle = loop.result(
            client.send_goal_async(goal, feedback_callback=lambda m: steps.append(m.feedback.step)),
            "acceptance",
        )
        loop.wait(lambda: len(steps) > 5, "the first steps")
        stop.stop_and_go_on()
        result = loop.result(handle.get_result_async(), "the replay", 60.0).result
    assert result.success and result.replayed == 1, result.message
    assert steps.count(1) == 2 and len(stop.begun) == 2


@pytest.fixture
def told(domain):
    """Yield a monitor, and a function that sends it the words of a driver of this process."""
    with guest("runner", domain) as (node, loop), guest("driver", domain) as (driver, _):
        monitor = DriverMonitor(node)
        topic = topics.of_driver("driver", topics.STOPPED)
        flags = driver.create_publisher(Bool, topic, qos.LATCHED_CHANGES)
        events = driver.create_publisher(TransitionEvent, "driver/transition_event", 10)
        loop.wait(lambda: flags.get_subscription_count() and events.get_subscription_count(), "it")

        def send(*words, together=()):
            for word in (*words, *together):
                if isinstance(word, bool):
                    flags.publish(Bool(data=word))
                else:
                    start, goal, label = word
                    event = TransitionEvent()
                    event.start_state.id, event.goal_state.id = start, goal
                    event.goal_state.label = label
                    events.publish(event)
                if word not in together:
                    loop.rest(0.1)

        def ends(seconds):
            with loop.interrupted_by(monitor.check):
                loop.rest(seconds)

        yield monitor, send, ends


LEFT = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_INACTIVE, "inactive"
BACK = State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE, "active"


def test_a_stop_whose_word_arrives_late_is_no_deactivation(told):
    monitor, send, ends = told
    send(False, LEFT)
    ends(3 * driver_monitor.SETTLE)  # the goal waits for the driver's word
    send(True)
    with pytest.raises(HandStopped):
        ends(0.1)
    monitor.begin()
    ends(driver_monitor.GRACE)
    send(False, BACK)
    assert not monitor.stopped


def test_a_deactivation_ends_a_goal_as_soon_as_the_driver_says_that_it_is_one(told):
    _, send, ends = told
    send(LEFT, False)
    with pytest.raises(StationFault, match="the driver is inactive: activate it to go on"):
        ends(2 * driver_monitor.SETTLE)


def test_a_listener_that_stood_still_hears_of_a_stop_that_is_over(told):
    """Else it would take the two transitions for a deactivation, which ends the goal."""
    _, send, ends = told
    send(False)
    send(together=[True, LEFT, False, BACK])
    with pytest.raises(HandStopped):
        ends(0.1)
