"""Pictures of the stations of an environment."""

import numpy as np
from numpy.typing import NDArray

from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import Array, JointState


class Painter:
    """Draws the stations of one environment."""

    def __init__(self, task: Task) -> None:
        from handlab_sim.rendering import StationRenderer

        self._renderer = StationRenderer(task.hand, task.fixture)

    def frame(
        self, hand: JointState, angle: Array, sprung: Array | None, row: int
    ) -> NDArray[np.uint8]:
        """Draw one robot: joints and object angles (N,) rad; soft parts (N, s) where known."""
        if sprung is not None and sprung.shape[1]:
            self._renderer.bend(sprung[row])
        one = np.array([[angle[row]]])
        shown = batch.take(hand, [row])
        frame: NDArray[np.uint8] = self._renderer.frame(
            shown, JointState(shown.stamp, one, one, one)
        )
        return frame

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
