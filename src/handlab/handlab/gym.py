"""Gymnasium's face: `gymnasium.make("handlab/ClawValve-v0", backend="sim" or "graph")`.

A reset with a seed is a fresh start: everything is placed at once where that is possible, so that
the same seed gives the same episode. Resets without a seed are made by the robot's own motors.
"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from handlab_core.env import Env
from handlab_core.errors import UnknownName
from handlab_core.station import LocalStation
from handlab_core.tasks import TASKS, Task, make_task
from handlab_core.types import Array, JointState, Reward
from handlab_learning.run_config import BACKENDS


def register_envs() -> None:
    """Register one environment per task; importing this module does it."""
    for name in TASKS:
        environment = gym_id(make_task(name))
        if environment not in gymnasium.registry:
            gymnasium.register(
                environment,
                entry_point="handlab.gym:HandlabEnv",
                vector_entry_point="handlab.gym:HandlabVectorEnv",
                kwargs={"task": name},
            )


def gym_id(task: Task) -> str:
    """A task's name in Gymnasium: `handlab/<Hand><Task>-v0`."""
    words = f"{task.hand_name}_{task.name.removeprefix(task.hand_name + '_')}".split("_")
    return f"handlab/{''.join(word.capitalize() for word in words)}-v0"


def _spaces(task: Task) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    observation = gymnasium.spaces.Box(-np.inf, np.inf, (task.observation_size,), np.float64)
    return observation, gymnasium.spaces.Box(-1.0, 1.0, (task.hand.n,), np.float64)


class HandlabEnv(gymnasium.Env[Array, Array]):
    """One robot.

    Args:
        task: name of the task.
        backend: `sim`, MuJoCo in this process, or `graph`, the nodes; a graph is started, and ended
            with the environment, unless `domain` names one that is up.
        reward: variant; None is the task's own.
        render_mode: `rgb_array` or None.
        domain: ROS domain id of a graph that is up.
        pace: of that graph.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (Gymnasium's way)

    def __init__(
        self,
        task: str,
        backend: str = "sim",
        reward: str | None = None,
        render_mode: str | None = None,
        domain: int | None = None,
        pace: str = "lockstep",
    ) -> None:
        if backend not in BACKENDS:
            raise UnknownName("backend", backend, BACKENDS)
        self._task = make_task(task)
        self._task = self._task.with_reward(reward or self._task.reward)
        self.metadata = {**self.metadata, "render_fps": round(1 / self._task.period)}
        self.observation_space, self.action_space = _spaces(self._task)
        self.render_mode = render_mode
        self._can_place = backend == "sim" or pace == "lockstep"
        self._graph: Any = None
        self._renderer: Any = None
        self._env = self._local() if backend == "sim" else self._remote(domain, pace)
        self._seed, self._episode = int.from_bytes(os.urandom(4), "little"), -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; with a seed, the first of a new series."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        self._env.teleport = seed is not None and self._can_place
        observation, start = self._env.reset(self._seed, np.array([self._episode]))
        self._shown = start.hand, float(start.object.angle[0])
        info = {"reset_s": float(start.duration[0]), "goal": start.goal.angle[0].copy()}
        return observation[0], info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Act for one control period."""
        step = self._env.step(np.asarray(action, dtype=np.float64)[None, :])
        self._shown = step.sample.hand, float(step.sample.object.angle[0])
        reward = self._env.reward(step)
        info = {key: value[0] for key, value in _info(self._task, reward).items()}
        return step.observation[0], float(reward.total[0]), step.terminated, step.truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the station, if the environment was made with `rgb_array`."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            from handlab_sim.rendering import StationRenderer

            self._renderer = StationRenderer(self._task.hand, self._task.fixture)
        hand, angle = self._shown
        one = np.array([[angle]])
        return self._renderer.frame(hand, JointState(hand.stamp, one, one, one))  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the environment, and its graph if it started one."""
        self._env.close()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _local(self) -> Env:
        from handlab_sim.worlds import Worlds

        worlds = Worlds(self._task.hand, self._task.fixture)
        return Env(self._task, LocalStation(self._task, worlds))

    def _remote(self, domain: int | None, pace: str) -> Env:
        self._graph = _Graph(self._task, domain, pace)
        return Env(self._task, self._graph.station)


class _Graph:
    """A station in a graph, with the node that talks to it, and perhaps the graph itself."""

    def __init__(self, task: Task, domain: int | None, pace: str) -> None:
        from handlab.graph import GraphConfig
        from handlab.up import BackgroundGraph
        from handlab_nodes.graph_station import GraphStation
        from handlab_nodes.spinner import guest

        self._exit = ExitStack()
        scratch = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="handlab-"))
        simulated = pace == "lockstep"
        if domain is None:
            config = GraphConfig(
                task.name, pace=pace, reward=task.reward, runner=False, learner=False
            )
            graph = BackgroundGraph(config, Path(scratch, "nodes.log"))
            domain, simulated = self._exit.enter_context(graph).domain, config.simulated
        # The name of the driver's customer: commands from elsewhere are reported.
        node, spinner = self._exit.enter_context(guest("runner", domain, simulated))
        self.station = GraphStation(node, spinner, task, pace == "lockstep")

    def close(self) -> None:
        self._exit.close()


class HandlabVectorEnv(VectorEnv[Array, Array, Array]):
    """Many simulated robots in step, in one MuJoCo batch; `gymnasium.make_vec` gives it.

    Args:
        task: name of the task.
        num_envs: robots, N.
        reward: variant; None is the task's own.
        threads: to simulate on.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  (Gymnasium's way)

    def __init__(
        self, task: str, num_envs: int = 1, reward: str | None = None, threads: int = 2, **_: Any
    ) -> None:
        from handlab_sim.worlds import Worlds

        self._task = make_task(task)
        self._task = self._task.with_reward(reward or self._task.reward)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = _spaces(self._task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        worlds = Worlds(self._task.hand, self._task.fixture, num_envs, threads)
        self._env = Env(self._task, LocalStation(self._task, worlds))
        self._seed, self._round, self._over = int.from_bytes(os.urandom(4), "little"), -1, True

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode on every robot; with a seed, the first of a new series."""
        first = seed[0] if isinstance(seed, list) else seed
        super().reset(seed=first)
        if first is not None:
            self._seed, self._round = int(first), -1
        self._round += 1
        self._over = False
        self._env.teleport = first is not None
        numbers = self._round * self.num_envs + np.arange(self.num_envs)
        observation, start = self._env.reset(self._seed, numbers)
        return observation, {"reset_s": start.duration}

    def step(
        self, actions: Array
    ) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Act; in the step after the end of an episode the next one begins instead."""
        nobody = np.zeros(self.num_envs, dtype=np.bool_)
        if self._over:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), nobody, nobody.copy(), info
        step = self._env.step(np.asarray(actions, dtype=np.float64))
        self._over = step.truncated or step.terminated
        ends = nobody | step.terminated, nobody | step.truncated
        reward = self._env.reward(step)
        return step.observation, reward.total, *ends, _info(self._task, reward)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the worlds."""
        self._env.close()


def _info(task: Task, reward: Reward) -> dict[str, Array]:
    """Facts about a step that no reward contains; success is not for learners to see."""
    terms = {
        f"reward/{term.name}": reward.terms[:, i]
        for i, term in enumerate(task.rewards[task.reward])
    }
    return {"error": reward.error, "is_success": reward.success.astype(np.float64), **terms}


register_envs()
