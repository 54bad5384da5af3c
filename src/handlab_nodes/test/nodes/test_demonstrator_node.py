"""Demonstrations by the scripted teacher and by a person, through the graph."""

import numpy as np
import pytest
from rclpy.action import ActionClient

from handlab.teaching.scripted import demonstrate
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.demonstrations.segmentation import OperatorCommand
from handlab_core.errors import BadDemonstrations
from handlab_core.tasks import make_task
from handlab_data.demonstration_reader import read_demonstrations, read_recording
from handlab_interfaces.action import RecordDemonstration
from handlab_interfaces.srv import TellDemonstration
from handlab_nodes.messages import topics

TASK = make_task("valve")
NOISE = 0.02


def test_what_is_computed_from_the_bag_is_what_was_computed_live(recorded, assert_same):
    bag, live = recorded
    read = read_demonstrations(bag, TASK)
    assert len(read) == 3
    for one, other in zip(read, live, strict=True):
        assert_same(one, other)


def test_the_graph_shows_the_demonstrations_of_the_process(recorded):
    """One hand after another in this process, and through all nodes: bit for bit."""
    _, live = recorded
    motions = demonstrate(TASK, TeacherConfig(noise=NOISE), 0, range(3), num_envs=1)
    here = [to_episode(motion, TASK) for motion in motions]
    np.testing.assert_array_equal(live[0].trajectory.observations, here[0].trajectory.observations)


def test_without_a_usable_demonstration_all_reasons_are_told(tmp_path, classroom, record):
    """A teacher that always breaks off: nothing is accepted, and the bag says why."""
    with classroom(tmp_path / "bag", failures=1.0) as (_, node, loop):
        result = record(node, loop, 2)
    assert result.success and result.accepted == 0
    assert len(result.dropped) == 2 and "degrees from the goal" in result.dropped[0]
    with pytest.raises(BadDemonstrations, match=r"0: it ended .* from the goal; 1: it ended"):
        read_demonstrations(tmp_path / "bag", TASK)


def test_a_person_begins_ends_and_judges(tmp_path, classroom):
    """In real pace, by the service that keys call; a word at the wrong time is refused."""
    stages, told, elapsed = [], [], {}
    with classroom(tmp_path / "bag", "real") as (_, node, loop):
        client = ActionClient(node, RecordDemonstration, topics.RECORD_DEMONSTRATION)
        tell = node.create_client(TellDemonstration, topics.TELL)
        loop.wait(client.server_is_ready, "the demonstrator")
        loop.wait(tell.service_is_ready, "its service")

        def say(word):
            request = TellDemonstration.Request(word=word.value)
            told.append(loop.result(tell.call_async(request), "an answer"))

        goal = RecordDemonstration.Goal(ask=True, episodes=[0, 1, 2], seed=0, hold=0.05)

        def on_feedback(message):
            episode, stage = message.feedback.episode, message.feedback.stage
            stages.append((episode, stage))
            elapsed[episode] = message.feedback.elapsed

        sending = client.send_goal_async(goal, feedback_callback=on_feedback)
        ending = loop.result(sending, "the goal").get_result_async()
        for number, verdict in enumerate((OperatorCommand.ACCEPT, OperatorCommand.DROP)):
            loop.wait(lambda n=number: (n, "waiting") in stages, "the hand to be let go")
            if not number:
                say(OperatorCommand.ACCEPT)  # too early
            say(OperatorCommand.BEGIN)
            loop.wait(lambda n=number: elapsed.get(n, 0.0) >= 2.0, "two seconds of it")
            say(OperatorCommand.END)
            loop.wait(lambda n=number: (n, "verdict") in stages, "the time for a verdict")
            say(verdict)
        loop.wait(lambda: (2, "waiting") in stages, "the hand to be let go")
        say(OperatorCommand.DROP)
        result = loop.result(ending, "the end").result
    assert result.success and result.accepted == 1
    assert [why.split(":")[0] for why in result.dropped] == ["1", "2"]
    assert [answer.success for answer in told] == [False] + [True] * 7
    assert told[0].message == "now is the time for BEGIN, DROP (waiting)"
    [episode] = read_demonstrations(tmp_path / "bag", TASK)
    assert (
        15 <= episode.steps <= 40
        and np.abs(np.diff(episode.trajectory.observations[:, 0])).max() > 0.01
    )
    assert len(read_recording(tmp_path / "bag").motions[0].hand.stamp) > 5 * episode.steps
