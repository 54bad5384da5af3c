"""Arrows in the browser's scene: the forces at the fingertips, with their size in N."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import viser

from handlab.browser.handles import set_if_changed
from handlab_core.hands import Hand
from handlab_core.hands.fingertip_force import FingertipForce
from handlab_core.types import Array
from handlab_nodes.messages.scene_messages import ARROW, FORCE_COLOR, FORCE_LENGTH

COLOR = (round(255 * FORCE_COLOR.r), round(255 * FORCE_COLOR.g), round(255 * FORCE_COLOR.b))

MOVED = 5e-4
"""m; least change of an arrow that is sent to the pages: 0.05 N."""


class ForceArrows:
    """Shows the newest forces.

    Args:
        scene: of the server.
        hand: the hand; each of its fingertips has an arrow, hidden at first.
    """

    def __init__(self, scene: viser.SceneApi, hand: Hand) -> None:
        self._tips = [_Tip(scene, name) for name in hand.fingertips]

    def show(self, forces: Sequence[FingertipForce]) -> None:
        """Show forces that are large enough, and hide the other arrows."""
        shown = {force.number: force for force in forces if force.shown}
        for number, tip in enumerate(self._tips):
            tip.show(shown.get(number))


@dataclass
class _Tip:
    """Arrow and label of one fingertip."""

    scene: viser.SceneApi
    name: str

    def __post_init__(self) -> None:
        shaft, head, length = ARROW
        self._ends: Array = np.zeros((1, 2, 3))
        self._arrow = self.scene.add_arrows(
            f"/forces/{self.name}", self._ends, COLOR, shaft_radius=shaft / 2,
            head_radius=head / 2, head_length=length, visible=False,
        )  # fmt: skip
        self._label = self.scene.add_label(f"/force_sizes/{self.name}", "", visible=False)

    def show(self, force: FingertipForce | None) -> None:
        """Show a force, or none."""
        set_if_changed(self._arrow, "visible", force is not None)
        set_if_changed(self._label, "visible", force is not None)
        if force is None:
            return
        begin = np.array(force.pose.position)
        ends = np.array([[begin, begin + FORCE_LENGTH * np.array(force.force)]])
        if np.abs(ends - self._ends).max() < MOVED:
            return
        self._ends = self._arrow.points = ends
        self._label.position = ends[0, 1]
        set_if_changed(self._label, "text", f"{force.size:.1f} N")
