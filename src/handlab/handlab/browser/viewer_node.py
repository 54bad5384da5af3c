"""Viewer: the station in a browser, live from the topics. A node like the others."""

import secrets
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
import viser
from pydantic import Field
from rclpy.node import Node
from sensor_msgs.msg import JointState

from handlab.browser.console import Console
from handlab.browser.drawn_robot import SEEN, DrawnRobot
from handlab.browser.force_arrows import ForceArrows
from handlab.browser.web_guard import PrivateServer, WebGuard, is_loopback
from handlab_core.hands.fingertip_force import FingertipForces, dry_friction
from handlab_core.hands.kinematics import KinematicTree
from handlab_core.objects.fixture import MARK_RADIUS
from handlab_core.system.validation import Index, Name, Text, checked
from handlab_core.types import Array, Goal
from handlab_core.types import JointState as JointReading
from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.messages.scene_messages import FORCE_PERIOD
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.simulated_clock import is_simulated
from handlab_sim import decor
from handlab_sim.urdf import station_urdf

FRAME_TIME = 1 / 30
"""s; in lockstep states come faster than eyes can follow."""

NARROW = 576
"""Pixels; viser draws the panel at the bottom of windows that are not wider."""

FARTHER, LOWER = 1.6, 0.38
"""Factor and m; on narrow windows the camera stands back, and looks lower by this height. Chosen:
the hand is above the panel of a telephone."""


@checked
class ViewerParams(TaskParams):
    """Parameters of the node."""

    host: Annotated[
        Name, Field(description="address to serve; 0.0.0.0 serves the whole network")
    ] = "127.0.0.1"
    token: Annotated[
        Text,
        Field(
            description="secret of the people who may use the page; empty: on another address than "
            "loopback a new one, which the log shows"
        ),
    ] = ""
    port: Annotated[
        Index, Field(le=65535, description="TCP port; the next free one if it is taken")
    ] = 8080


class ViewerNode(Node):
    """Shows hand, object, goal and reward."""

    def __init__(self) -> None:
        super().__init__("viewer")
        params = read_params(self, ViewerParams())
        task = params.make_task()
        token = params.token
        if not (token or is_loopback(params.host)):
            token = secrets.token_urlsafe()
        with WebGuard(params.host, token).guarding():
            self._server = PrivateServer(params.host, params.port, verbose=False)
        self._console = Console(self, self._server, task)
        text = ElementTree.tostring(station_urdf(task.hand, task.fixture))
        self._robot = DrawnRobot(self._server, text)
        self._forces = FingertipForces(KinematicTree(text.decode()), task.hand)
        self._arrows = ForceArrows(self._server.scene, task.hand)
        self._reading: JointReading | None = None
        self._estimated = np.full(3 * task.hand.n, np.inf)
        self._positions = dict.fromkeys(self._robot.joints, 0.0)
        self._hand, self._fixture = task.hand, task.fixture
        self._set_scene()
        hear = Inbox.of(self).subscribe
        for topic, names in (
            (topics.HAND_STATES, task.hand.joints),
            (topics.FIXTURE_STATES, (task.fixture.joint,)),
        ):
            read, show = cdr_codec.JointStates(names).unpack, partial(self._on_joints, names)
            hear(JointState, topic, read, show, qos.STREAM)
        hear(wire.EpisodeGoal, topics.GOAL, convert.goal_decoder(task), self._on_goal, qos.LATCHED)
        rewards = convert.decoder(wire.Reward, convert.shown_reward)
        hear(wire.Reward, topics.REWARD, rewards, self._on_reward, qos.STREAM)
        self._newest: convert.ShownReward | None = None
        self._wanted: Goal | None = None
        self._marked = task.aim.of_object
        self._due = self._forces_due = time.monotonic()
        self._diagnostics = Diagnostics(self)
        secret = f"/?token={token}" if token else ""
        self.get_logger().info(f"open http://{params.host}:{self._server.get_port()}{secret}")

    def _set_scene(self) -> None:
        scene = self._server.scene
        scene.set_up_direction("+z")
        scene.add_grid("/table", width=0.6, height=0.6, cell_size=0.05)
        self._goal = scene.add_icosphere(
            "/goal", radius=MARK_RADIUS, color=(50, 184, 90), visible=False
        )

        @self._server.on_client_connect
        def _(client: viser.ClientHandle) -> None:
            client.camera.position, client.camera.look_at = view(client.camera.image_width)

    def _on_joints(self, names: Sequence[str], state: JointReading) -> None:
        if names == self._hand.joints:
            self._reading = state
            shape = self._hand.shape(state.q[0])
            self._positions.update(zip(self._hand.moving, shape.tolist(), strict=True))
        else:
            self._positions[self._fixture.joint] = self._fixture.per_rad * float(state.q[0, 0])
        self._console.on_joints(tuple(names), state.q[0], state.effort[0])

    def _on_goal(self, goal: Goal) -> None:
        self._wanted = goal
        self._show_goal(goal.stamp)
        self._console.on_goal(int(goal.episode[0]))

    def _show_goal(self, stamp: Array) -> None:
        """Mark the object's goal at a time [s]; a pose of the hand has no mark."""
        if self._wanted is not None and self._marked:
            angle = float(self._wanted.at(stamp)[0, 0])
            self._goal.position = self._fixture.mark_position(angle)
            self._goal.visible = True

    def _show_forces(self, state: JointReading) -> None:
        """Estimate the forces of a reading that differs from the last one of which they are."""
        numbers = np.concatenate([state.q[0], state.qd[0], state.effort[0]])
        if np.abs(numbers - self._estimated).max() < SEEN:
            return
        self._estimated = numbers
        friction = dry_friction(self._hand, is_simulated(self))
        joints = dict(zip(self._hand.joints, state.q[0].tolist(), strict=True))
        self._arrows.show(self._forces.estimate(joints, state.qd[0], state.effort[0], friction))

    def _on_reward(self, reward: convert.ShownReward) -> None:
        self._newest = reward
        self._console.on_reward(reward.total, reward.terms, reward.success)

    def report(self) -> None:
        """Report the number of open pages."""
        pages = {"open pages": len(self._server.get_clients())}
        self._diagnostics.publish(OK, "serving the console", pages)

    def release(self) -> None:
        """Join the web server's threads."""
        self._server.stop()

    def work(self, loop: object) -> None:
        """Draw, as often as eyes can follow, while a page is open."""
        now = time.monotonic()
        self._console.work()
        if now < self._due:
            return
        self._due = now + FRAME_TIME
        if not self._server.get_clients():
            return
        if self._reading is not None and now >= self._forces_due:
            self._forces_due = now + FORCE_PERIOD
            self._show_forces(self._reading)
        self._robot.show(self._positions)
        if self._newest is not None:
            self._show_goal(np.array([self._newest.stamp]))


def view(width: int) -> tuple[Array, Array]:
    """Return position of the camera and the point at which it looks, m.

    Args:
        width: pixels; of the window. On narrow ones the panel covers the lower half.
    """
    eye, target = np.array(decor.EYE), np.array(decor.TARGET)
    if width <= NARROW:
        eye = target + FARTHER * (eye - target)
        eye[2], target[2] = eye[2] - LOWER / 2, target[2] - LOWER
    return eye, target


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(ViewerNode, args=args)


if __name__ == "__main__":
    main()
