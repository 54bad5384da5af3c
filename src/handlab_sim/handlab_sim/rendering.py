"""Off-screen rendering of a station."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from handlab_core.errors import RenderingUnavailable
from handlab_core.hands import Hand
from handlab_core.objects.fixture import MARK_RADIUS, Fixture
from handlab_core.types import Array, JointState
from handlab_sim.decor import CAMERA
from handlab_sim.offscreen import REMEDY, use_working_backend
from handlab_sim.scene import COLLISION_GROUP, SITE_GROUP, SceneConfig, build_spec

GOAL_COLOUR = (0.20, 0.72, 0.35, 0.9)


class StationRenderer:
    """Renderer of hand and object at given joint positions.

    MUJOCO_GL selects the GL backend; without it, EGL or OSMesa is used, whichever works.

    Args:
        hand: hand of the station.
        fixture: fixture of the station.
        width: width of the picture, pixels.
        height: height of the picture, pixels.

    Raises:
        RenderingUnavailable: this machine cannot draw off screen.
    """

    def __init__(self, hand: Hand, fixture: Fixture, width: int = 640, height: int = 480) -> None:
        self.model = build_spec(hand, fixture, SceneConfig(visuals=True)).compile()
        self.data = mujoco.MjData(self.model)
        self._at = [self.model.joint(j).qposadr[0] for j in (*hand.moving, fixture.joint)]
        driven = self._at if hand.pneumatics is None else self._at[-1:]
        self._sprung_at = np.setdiff1d(np.arange(self.model.nq), driven)
        self._hand, self._fixture, self._bent = hand, fixture, False
        backend = use_working_backend()
        try:
            self._renderer = mujoco.Renderer(self.model, height, width)
        except Exception as error:  # OpenGL libraries raise arbitrary exceptions
            raise RenderingUnavailable(f"MUJOCO_GL={backend} fails: {error}. {REMEDY}") from error
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.geomgroup[0] = 1  # the table
        self._options.sitegroup[SITE_GROUP] = 0

    def frame(
        self, hand: JointState, fixture: JointState, goal: float | None = None, row: int = 0
    ) -> NDArray[np.uint8]:
        """Draw one robot, and a mark at the goal angle of the object, rad.

        The fingers of a soft hand have their shape in free air, unless `bend` has given another.

        Returns:
            Picture, (height, width, 3).
        """
        placed = self._fixture.per_rad * fixture.q[row]
        if self._bent and self._hand.pneumatics is not None:
            self.data.qpos[self._at[-1]] = placed[0]
        else:
            self.data.qpos[self._at] = np.append(self._hand.shape(hand.q[row]), placed)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        self._renderer.update_scene(self.data, camera=CAMERA, scene_option=self._options)
        if goal is not None:
            self._mark(goal)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    def bend(self, sprung: Array) -> None:
        """Draw soft parts at the angles `MujocoBackend.sprung`, (s,) rad, from now on."""
        self.data.qpos[self._sprung_at] = sprung
        self._bent = True

    def _mark(self, goal: float) -> None:
        scene = self._renderer.scene
        mark, sphere = scene.geoms[scene.ngeom], mujoco.mjtGeom.mjGEOM_SPHERE
        size, upright = np.full(3, MARK_RADIUS), np.eye(3).ravel()
        at = np.array(self._fixture.mark_position(goal))
        mujoco.mjv_initGeom(mark, sphere, size, at, upright, np.array(GOAL_COLOUR, "f"))
        scene.ngeom += 1

    def close(self) -> None:
        """Release the OpenGL context."""
        self._renderer.close()
