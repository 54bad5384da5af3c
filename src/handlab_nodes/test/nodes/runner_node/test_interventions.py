"""Interventions through the graph: what the hand did is the action, and its steps are marked."""

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import Joy

from handlab_core.demonstrations.action_inference import DEFAULT_INFERENCE, INFERENCES, Travel
from handlab_core.demonstrations.intervening_person import Mode
from handlab_core.demonstrations.intervening_teacher import InterveningTeacher
from handlab_core.demonstrations.joystick import JOG
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.tasks import make_task
from handlab_interfaces.msg import Intervention
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.person import intervention_msg
from handlab_nodes.messages import qos, topics

TASK = make_task("valve")
N = TASK.hand.n
RING = ("driver", "estimator", "reward", "reset", "runner")


def publisher_of(name, node, kind, topic):
    """A publisher of another node in the context of this one."""
    other = rclpy.create_node(name, context=node.context)
    return other.create_publisher(kind, topic, qos.COMMAND)


def sampled(sampler, policy, numbers, **plan):
    return list(sampler.sample(policy(TASK), EpisodePlan(7, numbers, **plan)))


def test_the_teacher_intervenes_in_the_graph_as_in_one_process(
    graph, policy, local_env, assert_same
):
    with graph(*RING) as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        sampler.interventions = "teacher"
        far = sampled(sampler, policy, range(2))
        [judged] = sampled(sampler, policy, [2], deterministic=True)
    env, teacher = local_env(TASK), InterveningTeacher(TASK)
    near = [
        rollout(env, policy(TASK), EpisodePlan(7, [i]), intervener=teacher)[0] for i in range(2)
    ]
    for one, other in zip(far, near, strict=True):
        assert 0.0 < one.intervention_rate < 1.0
        assert_same(one, other)
    assert not len(judged.interventions)


def positions(episode):
    return TASK.hand.target(episode.trajectory.observations[:, :N])


def test_limp_fingers_record_what_would_have_moved_them(graph, policy):
    """The commands come at any time of the episode: the marks say at which step."""
    with graph(*RING) as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        sampler.interventions = "person"
        commands = publisher_of("operator", node, Intervention, topics.INTERVENTION)
        take = intervention_msg(Mode.LIMP, np.zeros(N))
        node.create_timer(0.005, lambda: commands.publish(take))
        [episode] = sampled(sampler, policy, [0])
    taken = episode.interventions > 0
    assert taken.any()
    path, first = episode.trajectory, int(np.argmax(taken))
    q, angle = positions(episode), path.goal_angle[0] + _errors(path)
    inferred = INFERENCES[DEFAULT_INFERENCE](TASK.hand, TASK.fixture, Travel(q, angle, TASK.period))
    expected = np.clip(TASK.hand.normalise(inferred), -1, 1)
    np.testing.assert_allclose(path.actions[taken], expected[taken], atol=1e-9)
    quiet = np.abs(np.diff(q, axis=0))[-5:].max() if taken[-5:].all() else 0.0
    assert quiet < 0.05 and taken[first:].all()  # limp fingers come to rest


def _errors(path):
    """Error of the object in each observation, (T + 1,) rad."""
    return path.observations[:, TASK.spaces.fingers.error]


@pytest.mark.parametrize("by", ["keys", "joystick"])
def test_a_person_jogs_a_joint_through_the_graph(by, graph, policy):
    with graph(*RING) as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        sampler.interventions = "person"
        if by == "keys":
            step = np.zeros(N)
            step[0] = 0.001
            kind, topic, message = (
                Intervention, topics.INTERVENTION, intervention_msg(Mode.JOG, step)
            )  # fmt: skip
        else:
            buttons = [int(number == JOG) for number in range(JOG + 1)]
            kind, topic, message = Joy, topics.JOY, Joy(axes=[0.1], buttons=buttons)
        sender = "operator" if by == "keys" else "joy_node"
        publisher = publisher_of(sender, node, kind, topic)
        node.create_timer(0.005, lambda: publisher.publish(message))
        [episode] = sampled(sampler, policy, [0])
        [alone] = sampled(sampler, policy, [1], deterministic=True)
    taken = episode.interventions > 0
    assert taken.sum() > 2 and not len(alone.interventions)
    actions = episode.trajectory.actions[taken]
    first = int(np.argmax(taken))
    assert (np.diff(actions[:, 0]) >= 0).all() and actions[-1, 0] > actions[0, 0]
    start = TASK.hand.normalise(positions(episode)[first])
    np.testing.assert_allclose(
        actions[:, 1:], np.tile(np.clip(start, -1, 1)[1:], (len(actions), 1)), atol=1e-9
    )


def test_commands_that_are_none_are_dropped_and_named(graph, policy):
    with graph(*RING) as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        sampler.interventions = "person"
        commands = publisher_of("operator", node, Intervention, topics.INTERVENTION)
        wrong = [
            Intervention(kind=7),
            Intervention(kind=Intervention.JOG, step=[1.0]),
            Intervention(kind=Intervention.JOG, step=[float("nan")] * N),
        ]
        node.create_timer(0.005, lambda: [commands.publish(message) for message in wrong])
        [episode] = sampled(sampler, policy, [0])
    assert episode.intervention_rate == 0.0 and len(episode.interventions) == TASK.steps
