"""Episodes of the Adroit suite in the environments of gymnasium-robotics.

An episode is a function of policy, seed and number alone. A reset clears MuJoCo's whole state, and
seed and number determine all random values.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from typing import Any

import numpy as np

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    EpisodePlan,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.environment.policies.policy import Policy
from handlab_core.system.optional_packages import packages_of
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.tasks.adroit.turning import TURNINGS
from handlab_core.tasks.task import NOISE_STREAM, START_STREAM, episode_rng
from handlab_core.tasks.variation import Variation, draw_all, object_of
from handlab_core.types import Array
from handlab_sim.adroit.objects import AdroitObject
from handlab_sim.adroit.turning import TurnEnv

with packages_of("adroit"), redirect_stderr(StringIO()):  # suppress Farama's notice about rewards
    from gymnasium_robotics.envs.adroit_hand.adroit_door import AdroitHandDoorEnv
    from gymnasium_robotics.envs.adroit_hand.adroit_hammer import AdroitHandHammerEnv
    from gymnasium_robotics.envs.adroit_hand.adroit_pen import AdroitHandPenEnv
    from gymnasium_robotics.envs.adroit_hand.adroit_relocate import AdroitHandRelocateEnv

ENVIRONMENTS: dict[str, Callable[..., Any]] = {
    "AdroitHandDoor": AdroitHandDoorEnv,
    "AdroitHandHammer": AdroitHandHammerEnv,
    "AdroitHandPen": AdroitHandPenEnv,
    "AdroitHandRelocate": AdroitHandRelocateEnv,
    **{name: partial(TurnEnv, turning) for name, turning in TURNINGS.items()},
}

PALM_COST = 0.1
"""1/m; cost of a step per distance between palm and object;
mj_envs/hand_manipulation_suite/*_v0.py."""


def _between(data: Any, palm: int, other: Array) -> float:
    return float(np.linalg.norm(data.site_xpos[palm] - other))


# m; distance between palm and object; 0 for an object that is in the hand from the start.
PALM_DISTANCE: dict[str, Callable[[Any], float]] = {
    "AdroitHandDoor": lambda env: _between(
        env.data, env.grasp_site_id, env.data.site_xpos[env.handle_site_id]
    ),
    "AdroitHandHammer": lambda env: _between(
        env.data, env.S_grasp_site_id, env.data.xpos[env.obj_body_id]
    ),
    "AdroitHandPen": lambda env: 0.0,
    "AdroitHandRelocate": lambda env: _between(
        env.data, env.S_grasp_site_id, env.data.xpos[env.obj_body_id]
    ),
    **dict.fromkeys(TURNINGS, lambda env: 0.0),
}


def _pen_error(env: Any) -> float:
    data = env.data
    axes = [
        data.site_xpos[top] - data.site_xpos[bottom]
        for top, bottom in (
            (env.obj_t_site_id, env.obj_b_site_id),
            (env.tar_t_site_id, env.tar_b_site_id),
        )
    ]
    cosine = axes[0] @ axes[1] / (np.linalg.norm(axes[0]) * np.linalg.norm(axes[1]))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


# Distance between object and goal: rad to the open stop; m of the nail; rad; m.
ERROR: dict[str, Callable[[Any], float]] = {
    "AdroitHandDoor": lambda env: np.pi / 2 - float(env.data.qpos[env.door_hinge_addrs]),
    "AdroitHandHammer": lambda env: _between(
        env.data, env.target_obj_site_id, env.data.site_xpos[env.goal_site_id]
    ),
    "AdroitHandPen": _pen_error,
    "AdroitHandRelocate": lambda env: _between(
        env.data, env.target_obj_site_id, env.data.xpos[env.obj_body_id]
    ),
    **dict.fromkeys(TURNINGS, lambda env: env.error),
}


class AdroitWorld:
    """Environment that runs whole episodes.

    Args:
        task: task of the suite.
        variations: variations of the object, drawn for every episode.
        render_mode: Gymnasium's render mode.
    """

    def __init__(
        self,
        task: SuiteTask,
        variations: Sequence[Variation] = (),
        render_mode: str | None = None,
    ) -> None:
        self.task = task
        self.env: Any = ENVIRONMENTS[task.environment](render_mode=render_mode)
        self._variations = variations
        self._object = AdroitObject(task, self.env.model, self.env.data)
        self._palm, self._error = PALM_DISTANCE[task.environment], ERROR[task.environment]

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """Run episodes; see `handlab_learning.runs.sampler.Sampler.sample`."""
        for number in plan.numbers:
            yield self.episode(policy, plan.key(number, policy.version))

    def episode(
        self, policy: Policy, key: EpisodeKey, on_step: Callable[[], None] = lambda: None
    ) -> Episode:
        """Run one episode.

        Args:
            policy: computes the actions.
            key: identity of the episode.
            on_step: called after each step.
        """
        task = self.task
        noise = policy.noise(episode_rng(key.seed, key.number, NOISE_STREAM), task.steps)
        observations = np.empty((task.steps + 1, task.observation_size))
        actions = np.empty((task.steps, task.action_size))
        rewards, errors = np.empty(task.steps), np.empty(task.steps)
        reached, acting = 0, policy.begin()
        observations[0] = self._reset(key.seed, key.number)
        for t in range(task.steps):
            one = None if key.deterministic else noise[t : t + 1]
            actions[t] = acting.act(observations[t : t + 1], one)[0]
            observations[t + 1], rewards[t], _, _, info = self.env.step(actions[t])
            rewards[t] -= self._correction()
            errors[t] = self._error(self.env)
            reached += bool(info["success"])
            on_step()
        return episode_of(task, key, (observations, actions, rewards, errors), reached)

    def _reset(self, seed: int, number: int) -> Array:
        """Draw the object's variation and reset the environment; return the observation."""
        if self._variations:
            self._object.become(object_of(draw_all(self._variations, seed, number)))
        start = int(episode_rng(seed, number, START_STREAM).integers(2**31))
        observation, _ = self.env.reset(seed=start)
        return np.asarray(observation)

    def _correction(self) -> float:
        """Return the difference between the environment's reward and the published reward."""
        return 2 * PALM_COST * self._palm(self.env) if self.task.reward == "published" else 0.0


def episode_of(
    task: SuiteTask, key: EpisodeKey, arrays: tuple[Array, Array, Array, Array], reached: int
) -> Episode:
    """Build an episode of the suite, which has no goal angle and no reset time.

    Args:
        task: task of the suite.
        key: identity of the episode.
        arrays: observations (T + 1, O), actions (T, A), rewards (T,), errors (T,).
        reached: number of successful steps.
    """
    observations, actions, rewards, errors = arrays
    trajectory = Trajectory(
        observations, actions, rewards, rewards[:, None].copy(), errors, goal_angle=np.zeros(0)
    )
    success = task.success.met(reached)
    time = RobotTime(len(rewards) * task.period)
    temperatures = unknown_temperatures(task.action_size)
    return Episode(key, trajectory, Outcome(success, success), time, temperatures)
