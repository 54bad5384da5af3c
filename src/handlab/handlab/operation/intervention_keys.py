"""Keys by which a person takes the fingers or jogs joints while a policy acts."""

from collections.abc import Callable, Sequence

import numpy as np

from handlab_core.demonstrations.intervening_person import Mode, fingers
from handlab_core.hands import Hand
from handlab_core.types import Array

TAKE, GIVE_BACK = "t", "p"
"""Keys: take the limp fingers; the policy acts again."""

UP, DOWN = "uiol", "jkmn"
"""Keys that move the joints of the chosen finger, from its base on."""

STEP = 0.05
"""rad; step of a key. A held key repeats some 30 times a second, which makes 1.5 rad/s."""

HINT = "t: take the limp fingers; 1 to {last}: choose a finger; {up} / {down}: jog it; p: policy"


class InterventionKeys:
    """Turns keys into commands of a person.

    Args:
        hand: the hand.
        send: receives the mode, and for jogging the step of each joint, (n,) rad.
    """

    def __init__(self, hand: Hand, send: Callable[[Mode, Array], None]) -> None:
        self._send, self._fingers = send, fingers(hand)
        self._finger, self._n = 0, hand.n

    @property
    def hint(self) -> str:
        """Line for a display: the keys."""
        most = max(map(len, self._fingers))
        return HINT.format(last=len(self._fingers), up=" ".join(UP[:most]),
                           down=" ".join(DOWN[:most]))  # fmt: skip

    def press(self, key: str) -> None:
        """Carry out a key; another key does nothing."""
        still = np.zeros(self._n)
        if key == TAKE:
            self._send(Mode.LIMP, still)
        elif key == GIVE_BACK:
            self._send(Mode.POLICY, still)
        elif key.isdigit() and 1 <= int(key) <= len(self._fingers):
            self._finger = int(key) - 1
        elif key and key in UP + DOWN:
            self._jog(self._fingers[self._finger], key)

    def _jog(self, joints: Sequence[int], key: str) -> None:
        place = (UP if key in UP else DOWN).index(key)
        if place < len(joints):
            step = np.zeros(self._n)
            step[joints[place]] = STEP if key in UP else -STEP
            self._send(Mode.JOG, step)
