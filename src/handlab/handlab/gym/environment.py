"""One robot as a Gymnasium environment."""

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from handlab.gym.checks import (
    RENDER_MODES,
    can_draw,
    check_options,
    checked_action,
    checked_render_mode,
)
from handlab.gym.errors import EnvironmentClosed, ResetNeeded
from handlab.gym.graph_robot import GraphRobot
from handlab.gym.painter import Painter
from handlab.gym.spaces import frame_rate, random_seed, spaces_of, task_of
from handlab.gym.step_info import reset_info, step_info
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hardware.lockstep import PACES
from handlab_core.types import Array, JointState
from handlab_learning.runs.options import BACKENDS

if TYPE_CHECKING:
    from handlab_sim.backend import MujocoBackend


class HandlabEnv(gymnasium.Env[Array, Array]):
    """One robot.

    Args:
        task: name of the task.
        backend: `sim`, MuJoCo in this process, or `graph`, the nodes; a graph is started, and ended
            with the environment, unless `domain` names one that is up.
        reward: variant; None is the task's own.
        render_mode: `rgb_array` or None.
        domain: ROS domain id of a graph that is up.
        pace: of the graph; None is lockstep.

    Raises:
        UnknownName: there is no such task, backend, reward, render mode or pace.
        BadConfig: `domain` or `pace` without a graph, or a domain that cannot be.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": 10}  # noqa: RUF012  (Gymnasium's way)

    def __init__(
        self,
        task: str,
        backend: str = "sim",
        reward: str | None = None,
        render_mode: str | None = None,
        domain: int | None = None,
        pace: str | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise UnknownName("backend", backend, BACKENDS)
        if pace is not None and pace not in PACES:
            raise UnknownName("pace", pace, PACES)
        if backend == "sim" and not (domain is None and pace is None):
            raise BadConfig('domain and pace are those of a graph; give backend="graph", too')
        self._task = task_of(task, reward)
        self.render_mode = checked_render_mode(render_mode)
        self.metadata = {**self.metadata, "render_fps": frame_rate(self._task)}
        self.observation_space, self.action_space = spaces_of(self._task)
        self._can_place = pace != "real"
        self._graph: GraphRobot | None = None
        self._backend: MujocoBackend | None = None
        self._painter: Painter | None = None
        self._env = self._local() if backend == "sim" else self._remote(domain, pace or "lockstep")
        self._seed, self._episode = random_seed(), -1
        self._shown: tuple[JointState, Array] | None = None
        self._running, self._closed = False, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; with a seed, the first of a new series.

        Raises:
            BadArgument: options; there are none.
        """
        self._check_open()
        super().reset(seed=seed)
        check_options(options, ())
        if seed is not None:
            self._seed, self._episode = int(seed), -1
        self._episode += 1
        self._env.teleport = seed is not None and self._can_place
        observation, start = self._env.reset(self._seed, np.array([self._episode]))
        self._shown, self._running = (start.hand, start.object.angle), True
        return observation[0], {key: value[0] for key, value in reset_info(start).items()}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Act for one control period.

        Raises:
            InvalidAction: the action has another shape than the action space, or is not finite.
            ResetNeeded: no episode has begun, or it is over.
        """
        self._check_open()
        checked = checked_action(action, (self._task.hand.n,))
        if not self._running:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        step = self._env.step(checked[None, :])
        self._shown = step.sample.hand, step.sample.object.angle
        reward = self._env.reward(step)
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        self._running = not (terminated or truncated)
        info = {key: value[0] for key, value in step_info(self._task, reward).items()}
        return step.observation[0], float(reward.total[0]), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the station, (height, width, 3), if the environment was made with `rgb_array`.

        Raises:
            ResetNeeded: no episode has begun.
            RenderingUnavailable: this machine cannot draw off screen; names what to install.
        """
        self._check_open()
        if not can_draw(self.render_mode, self._shown is not None):
            return None
        assert self._shown is not None
        self._painter = self._painter or Painter(self._task)
        sprung = None if self._backend is None else self._backend.sprung
        return self._painter.frame(*self._shown, sprung, 0)

    def close(self) -> None:
        """End the environment, and its graph if it started one; twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._env.close()
        if self._painter is not None:
            self._painter.close()
        if self._graph is not None:
            self._graph.close()

    def _check_open(self) -> None:
        if self._closed:
            raise EnvironmentClosed("the environment is closed; make another")

    def _local(self) -> Env:
        from handlab_sim.backend import MujocoBackend

        self._backend = MujocoBackend(self._task.hand, self._task.fixture)
        return Env(self._task, LocalStation(self._task, self._backend))

    def _remote(self, domain: int | None, pace: str) -> Env:
        self._graph = GraphRobot(self._task, domain, pace)
        return Env(self._task, self._graph.station)
