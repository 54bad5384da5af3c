"""Commands of a person on topics, for an intervener: keys of a terminal, and a joystick."""

import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Joy

from handlab_core.demonstrations.intervening_person import InterveningPerson, Mode
from handlab_core.demonstrations.joystick import Joystick
from handlab_core.environment.intervention import Intervention
from handlab_core.environment.station import ResetResult
from handlab_core.tasks import Task
from handlab_core.types import Array, Goal, JointState, ObjectEstimate
from handlab_interfaces import msg as wire
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.inbox import Inbox


class Person:
    """Implements `Intervener` with the messages of a person; one robot.

    Args:
        node: owner of the subscriptions.
        task: task of the episodes.
        clock: seconds; a joystick that falls silent counts as released.
    """

    def __init__(self, node: Node, task: Task, clock: Callable[[], float] = time.monotonic) -> None:
        self._person, self._clock = InterveningPerson(task), clock
        self._joystick, self._hand = Joystick(task.hand, self._person), task.hand
        hear = Inbox.of(node).subscribe
        read = convert.decoder(wire.Intervention, self._read)
        hear(wire.Intervention, topics.INTERVENTION, read, self._on_command, qos.COMMAND)
        hear(Joy, topics.JOY, convert.decoder(Joy, _joy), self._on_joy, qos.COMMAND)

    def begin(self, start: ResetResult, seed: int) -> None:
        """See `Intervener.begin`."""
        self._person.begin(start, seed)

    def act(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Intervention:
        """See `Intervener.act`."""
        self._joystick.look(self._clock())
        return self._person.act(hand, obj, goal)

    def _read(self, message: wire.Intervention) -> tuple[Mode, Array]:
        """Read a command; ValueError if its kind, its size or a number is no command."""
        step = np.array(message.step)
        mode = Mode(message.kind)
        wanted = self._hand.n if mode is Mode.JOG else len(step)
        if len(step) != wanted or not np.isfinite(step).all():
            raise ValueError(f"a jog needs a finite step for each of {self._hand.n} joints")
        return mode, step

    def _on_command(self, command: tuple[Mode, Array]) -> None:
        mode, step = command
        if mode is Mode.JOG:
            self._person.jog(step)
        elif mode is Mode.LIMP:
            self._person.take()
        else:
            self._person.give_back()

    def _on_joy(self, state: tuple[list[float], list[int]]) -> None:
        self._joystick.read(*state, self._clock())


def intervention_msg(mode: Mode, step: Array) -> wire.Intervention:
    """Return the message of a command."""
    return wire.Intervention(kind=mode.value, step=step.tolist() if mode is Mode.JOG else [])


def _joy(message: Joy) -> tuple[list[float], list[int]]:
    """Read axes and buttons; ValueError if a number is not finite."""
    axes = list(message.axes)
    if not np.isfinite(axes).all():
        raise ValueError("it holds a number that is not finite")
    return axes, list(message.buttons)
