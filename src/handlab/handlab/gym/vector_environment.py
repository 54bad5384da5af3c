"""Many simulated robots as a Gymnasium vector environment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from handlab.gym.checks import (
    RENDER_MODES,
    RESET_MASK,
    can_draw,
    check_options,
    checked_action,
    checked_autoreset_mode,
    checked_count,
    checked_mask,
    checked_render_mode,
    checked_seeds,
)
from handlab.gym.errors import EnvironmentClosed, ResetNeeded
from handlab.gym.painter import Painter
from handlab.gym.spaces import frame_rate, random_seed, spaces_of, task_of
from handlab.gym.step_info import add_info, reset_info, step_info
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.types import Array, BoolArray, IntArray
from handlab_learning.runs.options import BACKENDS


class HandlabVectorEnv(VectorEnv[Array, Array, Any]):  # Any: rewards and ends have one type there
    """Many simulated robots in step, in one MuJoCo batch; `gymnasium.make_vec` gives it.

    Each robot has a series of episodes of its own, the same as `HandlabEnv` with its seed.

    Args:
        task: name of the task.
        num_envs: robots, N.
        reward: variant; None is the task's own.
        threads: to simulate on.
        render_mode: `rgb_array` or None.
        autoreset_mode: when a robot whose episode is over begins the next; a value of Gymnasium's
            AutoresetMode, `NextStep`, `SameStep` or `Disabled`.
        backend: `sim`; a graph has one robot.

    Raises:
        UnknownName: there is no such task, reward, render mode or autoreset mode.
        BadConfig: another backend than `sim`, or a number that is not at least one.
    """

    metadata = {  # noqa: RUF012  (Gymnasium's way)
        "render_modes": RENDER_MODES,
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        reward: str | None = None,
        threads: int = 2,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        backend: str = "sim",
    ) -> None:
        if backend not in BACKENDS:
            raise UnknownName("backend", backend, BACKENDS)
        if backend != "sim":
            raise BadConfig(
                f"a batch is simulated in this process, backend {backend!r} has one robot: use"
                ' gymnasium.make(..., backend="graph"), or make_vec(...,'
                ' vectorization_mode="sync") for a graph per robot'
            )
        self._task = task_of(task, reward)
        self.num_envs = checked_count("num_envs", num_envs)
        self.render_mode = checked_render_mode(render_mode)
        self._mode = checked_autoreset_mode(autoreset_mode)
        self.metadata = {
            **self.metadata,
            "render_fps": frame_rate(self._task),
            "autoreset_mode": self._mode,
        }
        self.single_observation_space, self.single_action_space = spaces_of(self._task)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        from handlab_sim.backend import MujocoBackend

        threads = checked_count("threads", threads)
        self._backend = MujocoBackend(self._task.hand, self._task.fixture, self.num_envs, threads)
        self._station = LocalStation(self._task, self._backend)
        self._env = Env(self._task, self._station)
        self._painter: Painter | None = None
        self._seeds = [random_seed() for _ in range(self.num_envs)]
        self._numbers = np.full(self.num_envs, -1)
        self._observation: Array = np.zeros((self.num_envs, self._task.observation_size))
        self._over: BoolArray | None = None  # whose episodes are over; None before the first reset

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode on every robot, or on some.

        Args:
            seed: robots with one begin the first episode of a new series. A number s gives robot i
                the seed s + i; a list has one seed, or None, for each robot.
            options: `reset_mask`, (N,) bool, the robots to reset; None: all.

        Raises:
            BadArgument: a seed, a mask or an option that cannot be.
        """
        self._check_open()
        seeds = checked_seeds(seed, self.num_envs)
        check_options(options, (RESET_MASK,))
        mask = checked_mask((options or {}).get(RESET_MASK), self.num_envs)
        first = self._over is None
        if first and not mask.all():
            raise ResetNeeded("no episode has begun; reset all robots before some of them")
        super().reset(seed=next((s for s in seeds if s is not None), None))
        seeded = mask & np.array([s is not None for s in seeds])
        for i in np.flatnonzero(seeded):
            self._seeds[i], self._numbers[i] = seeds[i], -1
        self._over = np.zeros(self.num_envs, dtype=bool) if self._over is None else self._over
        info: dict[str, Any] = {}
        if first and seeded.any() and not seeded.all():
            self._env.reset(self._seeds, np.zeros_like(self._numbers))  # some follow, not yet begun
        for robots, teleport in ((seeded, True), (mask & ~seeded, False)):
            if robots.any():
                self._begin(robots, teleport, info)
        return self._observation.copy(), info

    def step(self, actions: Array) -> tuple[Array, Array, BoolArray, BoolArray, dict[str, Any]]:
        """Act for one control period on every robot whose episode is not over.

        Raises:
            InvalidAction: the actions have another shape than the action space, or are not finite.
            ResetNeeded: no episode has begun, or, with autoreset disabled, one is over.
        """
        self._check_open()
        checked = checked_action(actions, (self.num_envs, self._task.hand.n))
        if self._over is None:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        over = self._over
        if self._mode is AutoresetMode.DISABLED and over.any():
            raise ResetNeeded(
                f"the episodes of robots {np.flatnonzero(over).tolist()} are over and autoreset is"
                f" disabled; reset them: reset(options={{{RESET_MASK!r}: terminated | truncated}})"
            )
        rewards = np.zeros(self.num_envs)
        terminated: BoolArray = np.zeros(self.num_envs, dtype=bool)
        truncated: BoolArray = np.zeros(self.num_envs, dtype=bool)
        facts: dict[str, Array] = {}
        robots = self._rows(~over)
        if not over.all():
            acting = ~over
            step = self._env.step(checked[acting], robots)
            reward = self._env.reward(step, robots)
            self._observation[acting], rewards[acting] = step.observation, reward.total
            terminated[acting], truncated[acting] = step.terminated, step.truncated
            facts = step_info(self._task, reward)
        acted, self._over = ~over, terminated | truncated
        info: dict[str, Any] = {}
        if over.any():
            self._begin(over, False, info)
        if self._mode is AutoresetMode.SAME_STEP and self._over.any():
            self._begin_at_once(facts, info)
        else:
            add_info(info, facts, acted)
        return self._observation.copy(), rewards, terminated, truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every robot, a picture (height, width, 3) each, if made with `rgb_array`.

        Raises:
            ResetNeeded: no episode has begun.
            RenderingUnavailable: this machine cannot draw off screen; names what to install.
        """
        self._check_open()
        if not can_draw(self.render_mode, self._over is not None):
            return None
        painter = self._painter = self._painter or Painter(self._task)
        reading, sprung = self._station.backend.read(), self._backend.sprung
        shown = reading.hand, reading.fixture.q[:, 0]
        return tuple(painter.frame(*shown, sprung, i) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Close the simulation."""
        self._env.close()
        if self._painter is not None:
            self._painter.close()

    def _check_open(self) -> None:
        if self.closed:
            raise EnvironmentClosed("the environment is closed; make another")

    def _rows(self, mask: BoolArray) -> IntArray | None:
        """Return which robots a mask names; None, all of them, is the quickest."""
        return None if mask.all() else np.flatnonzero(mask)

    def _begin(self, mask: BoolArray, teleport: bool, info: dict[str, Any]) -> None:
        """Begin the next episode of the robots of a mask."""
        assert self._over is not None
        self._numbers[mask] += 1
        seeds = [self._seeds[i] for i in np.flatnonzero(mask)]
        self._env.teleport = teleport
        observation, start = self._env.reset(seeds, self._numbers[mask], self._rows(mask))
        self._observation[mask] = observation
        self._over = self._over & ~mask
        add_info(info, reset_info(start), mask)

    def _begin_at_once(self, facts: dict[str, Array], info: dict[str, Any]) -> None:
        """Begin the next episodes in the step that ended the last ones; their end is in `info`."""
        assert self._over is not None
        ended = self._over
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            final[i] = self._observation[i].copy()
        last: dict[str, Any] = {}
        add_info(last, {key: value[ended] for key, value in facts.items()}, ended)
        info |= {"final_obs": final, "_final_obs": ended.copy()}
        info |= {"final_info": last, "_final_info": ended.copy()}
        if not ended.all():
            add_info(info, {key: value[~ended] for key, value in facts.items()}, ~ended)
        self._begin(ended, False, info)
