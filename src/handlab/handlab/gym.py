"""Gymnasium's face: `gymnasium.make("handlab/ClawValve-v0", backend="sim" or "graph")`.

A reset with a seed is a fresh start: everything is placed at once where that is possible, so that
the same seed gives the same episode. Resets without a seed are made by the robot's own motors.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

# ruff: noqa: N818  (errors are named as Gymnasium names its own)
from handlab_core import batch
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation, ResetResult
from handlab_core.errors import BadConfig, HandlabError, UnknownName
from handlab_core.hardware.lockstep import PACES
from handlab_core.tasks import TASKS, Task, make_task
from handlab_core.types import Array, BoolArray, IntArray, JointState, Reward
from handlab_learning.runs.options import BACKENDS

if TYPE_CHECKING:
    from handlab_sim.backend import MujocoBackend

RENDER_MODES = ["rgb_array"]

RESET_MASK = "reset_mask"
"""The one option of a vector's reset that Gymnasium defines."""


class BadArgument(HandlabError, gymnasium.error.Error, ValueError):
    """An argument of `reset` has a value that cannot be."""


class InvalidAction(HandlabError, gymnasium.error.InvalidAction):
    """An action has another shape than the action space, or is not finite."""


class ResetNeeded(HandlabError, gymnasium.error.ResetNeeded):
    """The call needs an episode that has begun and is not over."""


class EnvironmentClosed(HandlabError, gymnasium.error.ClosedEnvironmentError):
    """The environment is closed already."""


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
    """Return a task's name in Gymnasium: `handlab/<Hand><Task>-v0`."""
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
        self._task = _task(task, reward)
        self.render_mode = _render_mode(render_mode)
        self.metadata = {**self.metadata, "render_fps": _frame_rate(self._task)}
        self.observation_space, self.action_space = _spaces(self._task)
        self._can_place = pace != "real"
        self._graph: _Graph | None = None
        self._backend: MujocoBackend | None = None
        self._painter: _Painter | None = None
        self._env = self._local() if backend == "sim" else self._remote(domain, pace or "lockstep")
        self._seed, self._episode = _random_seed(), -1
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
        _check_options(options, ())
        if seed is not None:
            self._seed, self._episode = int(seed), -1
        self._episode += 1
        self._env.teleport = seed is not None and self._can_place
        observation, start = self._env.reset(self._seed, np.array([self._episode]))
        self._shown, self._running = (start.hand, start.object.angle), True
        return observation[0], {key: value[0] for key, value in _reset_info(start).items()}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Act for one control period.

        Raises:
            InvalidAction: the action has another shape than the action space, or is not finite.
            ResetNeeded: no episode has begun, or it is over.
        """
        self._check_open()
        checked = _checked_action(action, (self._task.hand.n,))
        if not self._running:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        step = self._env.step(checked[None, :])
        self._shown = step.sample.hand, step.sample.object.angle
        reward = self._env.reward(step)
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        self._running = not (terminated or truncated)
        info = {key: value[0] for key, value in _step_info(self._task, reward).items()}
        return step.observation[0], float(reward.total[0]), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the station, (height, width, 3), if the environment was made with `rgb_array`.

        Raises:
            ResetNeeded: no episode has begun.
            RenderingUnavailable: this machine cannot draw off screen; names what to install.
        """
        self._check_open()
        if self.render_mode is None:
            _warn_of_render_mode()
            return None
        if self._shown is None:
            raise ResetNeeded("there is nothing to draw yet; call reset() before render()")
        self._painter = self._painter or _Painter(self._task)
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
        self._graph = _Graph(self._task, domain, pace)
        return Env(self._task, self._graph.station)


class _Graph:
    """A station in a graph, with the node that talks to it, and perhaps the graph itself."""

    def __init__(self, task: Task, domain: int | None, pace: str) -> None:
        from handlab.graph import ros_environment

        ros_environment.prepare()  # before rclpy is imported
        from handlab.graph.config import GraphConfig
        from handlab.graph.processes import BackgroundGraph
        from handlab_nodes.clients.graph_station import GraphStation
        from handlab_nodes.runtime.event_loop import guest

        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="handlab-"))
            simulated = pace == "lockstep"
            if domain is None:
                config = GraphConfig(
                    task.name, pace=pace, reward=task.reward, runner=False, learner=False
                )
                graph = BackgroundGraph(config, Path(scratch, "nodes.log"))
                domain, simulated = stack.enter_context(graph).domain, config.simulated
            # The name of the driver's customer: commands from elsewhere are reported.
            node, loop = stack.enter_context(guest("runner", domain, simulated))
            self.station = GraphStation(node, loop, task, pace == "lockstep")
            self._exit = stack.pop_all()

    def close(self) -> None:
        self._exit.close()


class HandlabVectorEnv(VectorEnv[Array, Array, Array]):
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
        self._task = _task(task, reward)
        self.num_envs = _count("num_envs", num_envs)
        self.render_mode = _render_mode(render_mode)
        self._mode = _autoreset_mode(autoreset_mode)
        self.metadata = {
            **self.metadata,
            "render_fps": _frame_rate(self._task),
            "autoreset_mode": self._mode,
        }
        self.single_observation_space, self.single_action_space = _spaces(self._task)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        from handlab_sim.backend import MujocoBackend

        threads = _count("threads", threads)
        self._backend = MujocoBackend(self._task.hand, self._task.fixture, self.num_envs, threads)
        self._station = LocalStation(self._task, self._backend)
        self._env = Env(self._task, self._station)
        self._painter: _Painter | None = None
        self._seeds = [_random_seed() for _ in range(self.num_envs)]
        self._numbers = np.full(self.num_envs, -1)
        self._observation = np.zeros(self.observation_space.shape)
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
        seeds = _checked_seeds(seed, self.num_envs)
        _check_options(options, (RESET_MASK,))
        mask = _checked_mask((options or {}).get(RESET_MASK), self.num_envs)
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
        checked = _checked_action(actions, (self.num_envs, self._task.hand.n))
        if self._over is None:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        over = self._over
        if self._mode is AutoresetMode.DISABLED and over.any():
            raise ResetNeeded(
                f"the episodes of robots {np.flatnonzero(over).tolist()} are over and autoreset is"
                f" disabled; reset them: reset(options={{{RESET_MASK!r}: terminated | truncated}})"
            )
        rewards = np.zeros(self.num_envs)
        ends = np.zeros(self.num_envs, dtype=bool), np.zeros(self.num_envs, dtype=bool)
        facts: dict[str, Array] = {}
        robots = self._rows(~over)
        if not over.all():
            acting = ~over
            step = self._env.step(checked[acting], robots)
            reward = self._env.reward(step, robots)
            self._observation[acting], rewards[acting] = step.observation, reward.total
            ends[0][acting], ends[1][acting] = step.terminated, step.truncated
            facts = _step_info(self._task, reward)
        acted, self._over = ~over, ends[0] | ends[1]
        info: dict[str, Any] = {}
        if over.any():
            self._begin(over, False, info)
        if self._mode is AutoresetMode.SAME_STEP and self._over.any():
            self._begin_at_once(facts, info)
        else:
            _add_info(info, facts, acted)
        return self._observation.copy(), rewards, *ends, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every robot, a picture (height, width, 3) each, if made with `rgb_array`.

        Raises:
            ResetNeeded: no episode has begun.
            RenderingUnavailable: this machine cannot draw off screen; names what to install.
        """
        self._check_open()
        if self.render_mode is None:
            _warn_of_render_mode()
            return None
        if self._over is None:
            raise ResetNeeded("there is nothing to draw yet; call reset() before render()")
        painter = self._painter = self._painter or _Painter(self._task)
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
        _add_info(info, _reset_info(start), mask)

    def _begin_at_once(self, facts: dict[str, Array], info: dict[str, Any]) -> None:
        """Begin the next episodes in the step that ended the last ones; their end is in `info`."""
        assert self._over is not None
        ended = self._over
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            final[i] = self._observation[i].copy()
        last: dict[str, Any] = {}
        _add_info(last, {key: value[ended] for key, value in facts.items()}, ended)
        info |= {"final_obs": final, "_final_obs": ended.copy()}
        info |= {"final_info": last, "_final_info": ended.copy()}
        if not ended.all():
            _add_info(info, {key: value[~ended] for key, value in facts.items()}, ~ended)
        self._begin(ended, False, info)


class _Painter:
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
        self._renderer.close()


def _task(name: str, reward: str | None) -> Task:
    task = make_task(name)
    return task if reward is None else task.with_reward(reward)


def _frame_rate(task: Task) -> int:
    return round(1 / task.period)


def _random_seed() -> int:
    return int.from_bytes(os.urandom(4), "little")


def _render_mode(given: str | None) -> str | None:
    if given is not None and given not in RENDER_MODES:
        raise UnknownName("render mode", given, RENDER_MODES)
    return given


def _warn_of_render_mode() -> None:
    gymnasium.logger.warn('render() draws nothing: make it with render_mode="rgb_array"')


def _autoreset_mode(given: AutoresetMode | str) -> AutoresetMode:
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    raise UnknownName("autoreset mode", str(given), [mode.value for mode in AutoresetMode])


def _count(name: str, given: int) -> int:
    """Return a number of things, at least one.

    Raises:
        BadConfig: it is none.
    """
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
        raise BadConfig(f"{name} is a whole number from 1 on; given: {given!r}")
    return int(given)


def _check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    if options is not None and not isinstance(options, dict):
        raise BadArgument(f"options are a dict; given: {type(options).__name__}")
    if unknown := [repr(key) for key in options or {} if key not in known]:
        there = f"there is: {', '.join(known)}" if known else "there are none"
        raise BadArgument(f"unknown option of reset: {', '.join(unknown)}; {there}")


def _checked_seeds(seed: int | Sequence[int | None] | None, number: int) -> list[Any]:
    """Return the seed of each robot, None where it has none."""
    if seed is None:
        return [None] * number
    if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str | bytes):
        first = _checked_seed(seed)
        return [first + i for i in range(number)]
    if len(seed) != number:
        raise BadArgument(f"a list of seeds has one for each of {number} robots, not {len(seed)}")
    return [None if one is None else _checked_seed(one) for one in seed]


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, Integral) or seed < 0:
        raise BadArgument(f"a seed is a whole number from 0 on; given: {seed!r}")
    return int(seed)


def _checked_mask(mask: Any, number: int) -> BoolArray:
    if mask is None:
        return np.ones(number, dtype=bool)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (number,):
        shape = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask)
        raise BadArgument(f"{RESET_MASK} is a numpy array of bool, ({number},); given: {shape}")
    if not mask.any():
        raise BadArgument(f"{RESET_MASK} names no robot; at least one must be True")
    return mask.copy()


def _checked_action(action: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return an action as numbers.

    Raises:
        InvalidAction: it has another shape, or a number that is not finite.
    """
    try:
        given = np.asarray(action)
    except (TypeError, ValueError):  # rows of different lengths
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "biuf":
        raise InvalidAction(f"an action is an array {shape} of numbers; given: {action!r:.80}")
    values = given.astype(np.float64)
    if values.shape != shape:
        raise InvalidAction(f"an action is an array {shape}; given: {values.shape}")
    if not np.isfinite(values).all():
        at = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        raise InvalidAction(f"an action is finite; given: {values[at]} at {list(at)}")
    return values


def _reset_info(start: ResetResult) -> dict[str, Array]:
    """Robot time that a reset took [s], and the goal [rad]."""
    return {"reset_s": start.duration, "goal": start.goal.angle.copy()}


def _step_info(task: Task, reward: Reward) -> dict[str, Array]:
    """Facts about a step that no reward contains; success is not for learners to see."""
    terms = {
        f"reward/{term.name}": reward.terms[:, i]
        for i, term in enumerate(task.rewards[task.reward])
    }
    return {"error": reward.error, "is_success": reward.success.astype(np.float64), **terms}


def _add_info(info: dict[str, Any], facts: dict[str, Array], mask: BoolArray) -> None:
    """Put facts of the robots of a mask into a vector's info, beside `_key`, whose they are."""
    for key, value in facts.items():
        if key not in info:
            info[key] = np.zeros((len(mask), *value.shape[1:]), dtype=value.dtype)
            info[f"_{key}"] = np.zeros(len(mask), dtype=bool)
        info[key][mask] = value
        info[f"_{key}"] |= mask


register_envs()
