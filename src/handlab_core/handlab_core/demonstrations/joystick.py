"""Joystick: its state as a person's commands; axes and buttons as `sensor_msgs/Joy` has them.

| hold                  | effect                                        |
|-----------------------|-----------------------------------------------|
| button 0              | the fingers are limp                          |
| button 4              | axes move the joints of the chosen finger     |
| button 5 (press)      | choose the next finger                        |

Buttons and axes are those of a game controller with ROS's node `joy_node` (package joy).
"""

from collections.abc import Sequence

import numpy as np

from handlab_core.demonstrations.intervening_person import InterveningPerson, fingers
from handlab_core.hands import Hand

LIMP, JOG, NEXT_FINGER = 0, 4, 5
"""Numbers of buttons."""

SPEED = 1.0
"""rad/s; speed of a joint at full deflection of its axis. Chosen: half of the claw's limit or
less."""

SILENCE = 0.5
"""s; a joystick that was silent for longer counts as released. joy_node repeats its state 20 times
a second."""


class Joystick:
    """Turns states of a joystick into commands of one person.

    Args:
        hand: its joints, finger by finger, are moved by the axes in their order.
        person: receives the commands.
    """

    def __init__(self, hand: Hand, person: InterveningPerson) -> None:
        self._hand, self._person, self._fingers = hand, person, fingers(hand)
        self._finger, self._was_next, self._held = 0, False, False
        self._heard = -np.inf  # s

    def read(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> None:
        """Take a state.

        Args:
            axes: deflections in [-1, 1].
            buttons: 1 for a pressed button.
            now: s; any clock.
        """

        def pressed(number: int) -> bool:
            return number < len(buttons) and bool(buttons[number])

        self._heard = now
        if pressed(NEXT_FINGER) and not self._was_next:
            self._finger = (self._finger + 1) % len(self._fingers)
        self._was_next = pressed(NEXT_FINGER)
        if pressed(LIMP):
            self._person.take()
        elif pressed(JOG):
            velocity = np.zeros(self._hand.n)
            for joint, axis in zip(self._fingers[self._finger], axes, strict=False):
                velocity[joint] = SPEED * min(max(axis, -1.0), 1.0)
            self._person.drive(velocity)
        elif self._held:  # a joystick at rest leaves the keyboard alone
            self._person.give_back()
        self._held = pressed(LIMP) or pressed(JOG)

    def look(self, now: float) -> None:
        """Let the policy act again if the joystick is silent while a button is held."""
        if self._held and now - self._heard > SILENCE:
            self._held = False
            self._person.give_back()
