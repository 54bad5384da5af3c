"""stable-baselines3 on a batch: `BatchVecEnv(gymnasium.make_vec(..., autoreset_mode="SameStep"))`.

A single environment needs no adapter.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from handlab_core.errors import BadConfig
from handlab_core.system.optional_packages import packages_of
from handlab_core.types import Array

with packages_of("test"):
    from stable_baselines3.common.vec_env import VecEnv


class BatchVecEnv(VecEnv):
    """A Gymnasium vector environment as stable-baselines3's VecEnv.

    Args:
        envs: N environments that begin the next episode in the step that ends the last one.

    Raises:
        BadConfig: they begin it at another time.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise BadConfig(
                f"stable-baselines3 resets in the step that ends an episode, these environments by"
                f' {mode}; give make_vec autoreset_mode="{AutoresetMode.SAME_STEP.value}"'
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self._actions: Array | None = None

    def reset(self) -> Array:
        """Begin an episode on every robot; the seeds and options set before hold once."""
        # Gymnasium's own vectors take a list of seeds, too, which their base does not declare.
        seeds: Any = None if all(seed is None for seed in self._seeds) else self._seeds
        if any(options != self._options[0] for options in self._options):
            raise BadConfig("a batch is reset with one set of options for all of its robots")
        observation, info = self.envs.reset(seed=seeds, options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = self._split(info)
        return np.asarray(observation)

    def step_async(self, actions: Array) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, NDArray[np.float32], NDArray[np.bool_], list[Any]]:
        """Act; where an episode ends, its last observation is in `terminal_observation`."""
        observation, reward, terminated, truncated, info = self.envs.step(self._actions)
        ended = terminated | truncated
        if ended.any():
            final, last = info.pop("final_obs"), self._split(info.pop("final_info"))
        infos = self._split(info)
        for i in np.flatnonzero(ended).tolist():
            self.reset_infos[i] = infos[i]
            infos[i] = {**last[i], "terminal_observation": final[i]}
        for i, one in enumerate(infos):
            one["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observation, reward.astype(np.float32), ended, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Draw every robot; None for each where the environments were made without rgb_array."""
        drawn: Any = self.envs.render()  # arrays, since no environment of ours draws text
        return drawn or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the batch, once for each robot asked for."""
        value = getattr(self.envs, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole batch.

        Raises:
            BadConfig: of some robots only.
        """
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise BadConfig(f"{attr_name} is one for all robots of a batch; set it for all")
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: the robots of a batch are no environments of their own.

        Raises:
            BadConfig: always.
        """
        raise BadConfig(f"a batch has no environments whose {method_name} could be called one by"
                        " one; use DummyVecEnv of gymnasium.make")  # fmt: skip

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Say that no robot of a batch has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def _split(self, info: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the facts of each robot; Gymnasium marks in `_key` whose a fact is."""
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for key, value in info.items():
            if key.startswith("_"):
                continue
            facts = self._split(value) if isinstance(value, dict) else value
            for i in np.flatnonzero(info.get(f"_{key}", np.ones(self.num_envs, dtype=bool))):
                infos[i][key] = facts[i]
        return infos
