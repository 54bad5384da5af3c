"""The viewer's node, without a browser."""

import re

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from handlab.browser import console
from handlab.browser.viewer_node import ViewerNode, view
from handlab.graph.ros_domain import Domain
from handlab_core.tasks import make_task
from handlab_core.types import Goal, JointState
from handlab_nodes.messages.convert import ShownReward
from handlab_nodes.messages.scene_messages import FORCE_LENGTH


@pytest.fixture
def shown(monkeypatch):
    """A function that starts the viewer of a task with a page, in a ROS domain of its own."""
    nodes, domain = [], Domain()

    def start(task):
        parameters = ["--ros-args", "-p", f"task:={task}", "-p", "port:=0"]
        rclpy.init(args=parameters, domain_id=domain.id)
        nodes.append(ViewerNode())
        nodes[-1].pages = {0: None}  # one is open
        monkeypatch.setattr(nodes[-1]._server, "get_clients", lambda: nodes[-1].pages)
        return nodes[-1]

    yield start
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    domain.release()


def goal_of(task, angle, velocity):
    return Goal(
        np.array([3]), np.array([2.0]), np.array([angle], float), np.array([velocity], float)
    )


def test_the_goals_mark_moves_with_the_goal(shown):
    task = make_task("valve_tracking")
    viewer = shown(task.name)
    viewer._on_goal(goal_of(task, [1.0], [0.5]))
    assert viewer._goal.visible
    np.testing.assert_allclose(viewer._goal.position, task.fixture.mark_position(1.0), atol=1e-6)
    terms = (1.0,) * len(task.reward_terms)
    viewer._on_reward(ShownReward(4.0, np.deg2rad(10.0), 4.2, terms, True))
    viewer._due = 0.0
    viewer.work(None)
    np.testing.assert_allclose(viewer._goal.position, task.fixture.mark_position(2.0), atol=1e-6)
    text = viewer._console._episode_text()
    assert "episode 3, step 1: return **4.2**, at the goal in 1 steps" in text
    assert all(f"| {name} | 1.00 |" in text for name in task.reward_terms)


def test_a_pose_of_the_hand_has_no_mark(shown):
    task = make_task("pose")
    viewer = shown(task.name)
    viewer._on_goal(goal_of(task, np.zeros(9), np.zeros(9)))
    assert not viewer._goal.visible


def test_soft_fingers_bend_and_objects_slide_as_they_are_measured(shown):
    task = make_task("soft_bead")
    hand, fixture, viewer = task.hand, task.fixture, shown(task.name)
    for names, q in ((hand.joints, np.full(hand.n, 0.4)), ((fixture.joint,), np.array([0.5]))):
        viewer._on_joints(names, JointState(np.zeros(1), *(q[None],) * 3))
    viewer._due = 0.0
    viewer.work(None)
    shape = dict(zip(hand.moving, hand.shape(np.full(hand.n, 0.4)), strict=True))
    assert {viewer._positions[name] for name in shape} == set(shape.values())
    assert viewer._positions["bead"] == 0.5 * fixture.travel


@pytest.mark.parametrize("task", ["leap_pose", "allegro_valve", "soft_valve"])
def test_the_console_of_every_hand_has_a_slider_for_each_joint(shown, task):
    """A joint of LEAP and one of Allegro have no zero in their ranges."""
    hand, sliders = make_task(task).hand, shown(task)._console._sliders
    assert sliders.keys() == set(hand.joints)
    for joint, lower, upper in zip(hand.joints, hand.lower, hand.upper, strict=True):
        ends = sliders[joint].min, sliders[joint].max
        assert ends == pytest.approx(np.degrees([lower, upper]), abs=0.06)
        assert ends[0] <= sliders[joint].value <= ends[1]


def test_a_fingertip_that_pushes_has_an_arrow_and_its_size_in_newtons(shown):
    hand, viewer = make_task("valve").hand, shown("valve")
    arrow, label = viewer._arrows._tips[0]._arrow, viewer._arrows._tips[0]._label

    def read(effort):
        efforts = np.where(np.array(hand.joints) == "FFJ12", effort, 0.0)
        state = JointState(np.zeros(1), hand.nominal[None], np.zeros((1, 9)), efforts[None])
        viewer._on_joints(hand.joints, state)
        viewer._due = viewer._forces_due = 0.0
        viewer.work(None)

    assert not arrow.visible and not label.visible
    read(0.6)
    assert arrow.visible and label.visible
    begin, end = np.array(arrow.points)[0]
    length = np.linalg.norm(end - begin) / FORCE_LENGTH
    assert label.text == f"{length:.1f} N" and length > 5.0
    np.testing.assert_allclose(label.position, end, atol=1e-6)
    others = viewer._arrows._tips[1:]
    assert not any(tip._arrow.visible for tip in others)  # their weight alone
    read(0.0)
    assert not arrow.visible and not label.visible


def test_nothing_is_drawn_before_a_page_is_open_and_then_all(shown):
    task = make_task("valve")
    hand, viewer = task.hand, shown(task.name)
    bent, viewer.pages = JointState(np.zeros(1), *np.full((3, 1, 9), 0.3)), {}
    viewer._on_joints(hand.joints, bent)
    for pages in ({}, {0: None}):
        viewer.pages, viewer._due = pages, 0.0
        viewer.work(None)
        assert (viewer._robot.drawn["FFJ12"] == 0.3) == bool(pages)


def test_dropped_messages_are_reported(shown, monkeypatch):
    viewer, sent = shown("valve"), []
    monkeypatch.setattr(viewer._diagnostics, "_publisher", type("", (), {"publish": sent.append}))
    viewer.inbox.drop("reward", "it is too short")
    viewer.report()
    [status] = sent[0].status
    assert status.name == "viewer" and "dropped 1 messages on reward" in status.message


def test_a_node_that_stops_reporting_is_late_and_rates_are_counted(shown, monkeypatch):
    viewer, now = shown("valve"), [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    panel = viewer._console
    row = r"hand/joint_states, \*\*(\S+) Hz"
    rate = lambda: re.search(row, panel._topic_text())[1]  # noqa: E731
    status = DiagnosticStatus(level=b"\0", name="driver", message="moves")
    panel._on_diagnostics(DiagnosticArray(status=[status]))
    now[0] += 2.0
    assert "| driver | ok | moves |" in panel._node_text()
    panel._topic_text()
    for _ in range(60):
        panel._traffic.count("hand/joint_states")
    assert rate() == "-"
    for _ in range(60):
        panel._traffic.count("hand/joint_states")
    now[0] += 2.0
    assert rate() == "30"
    now[0] += 2.0
    assert "| driver | **LATE 6 s** | moves |" in panel._node_text()
    assert rate() == "0"


def test_a_jog_after_a_stop_begins_where_the_joint_is(shown, monkeypatch):
    panel, sent = shown("valve")._console, []
    monkeypatch.setattr(panel, "_ask", lambda kind, name, request, done: sent.append(request))
    monkeypatch.setattr(panel, "_switch", type("", (), {"stop": staticmethod(lambda: "confirmed")}))
    joint, step = "FFJ10", console.SPEED * console.PERIOD
    panel._position[joint] = 0.0
    for number in range(3):
        panel._jog_to(joint, 1.0)
        panel._jog(float(number))
    panel._stop()
    panel._position[joint] = -0.2
    panel._jog_to(joint, 1.0)
    panel._jog(3.0)
    assert [request.position for request in sent] == pytest.approx(
        [step, 2 * step, 3 * step, step - 0.2]
    )


def test_a_slider_follows_its_joint_until_a_person_moves_it(shown):
    panel = shown("valve")._console
    panel._position["FFJ10"] = 0.2
    panel._follow()
    assert panel._sliders["FFJ10"].value == pytest.approx(11.5, abs=0.06)
    panel._jog_to("FFJ10", 0.4)
    panel._position["FFJ10"] = 0.1
    panel._follow()
    assert panel._sliders["FFJ10"].value == pytest.approx(11.5, abs=0.06)
    assert panel._requests.empty()  # following is no wish of a person


def test_a_narrow_window_shows_the_hand_above_the_panel():
    (wide, at), (narrow, below) = view(1280), view(390)
    assert below[2] < at[2] and np.linalg.norm(narrow - below) > np.linalg.norm(wide - at)
