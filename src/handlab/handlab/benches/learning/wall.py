"""Wall time from nothing to 90 % in simulation, beside stable-baselines3's PPO.

Both learn `valve` in the same batch of worlds on the same threads, one after the other in one run,
and are evaluated in the same way after as many episodes. The time ends with the last of three good
evaluations in a row and includes all evaluations. A run without success counts with the time after
which it was given up.
"""

import time
from collections.abc import Mapping
from statistics import median
from typing import Annotated, Any

import gymnasium
import torch
from gymnasium.vector import AutoresetMode
from pydantic import Field

from handlab.benches.formatting import print_row
from handlab.benches.learning.minutes_beside import PredictedPolicy
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.experiments.task_kinds import local_sampler
from handlab_core.system.validation import Count, checked
from handlab_core.tasks import make_task
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.evaluation import Evaluator
from handlab_learning.runs.progress import Streak
from handlab_learning.runs.trainer import Trainer

TASK, THREADS, EVERY = "valve", 2, 5
"""Task, threads of the simulation, and iterations between two evaluations."""

LIMIT = 60.0
"""s; limit of the median."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "ours": {
        "n_epochs": 8,
        "batch_size": 512,
        "gamma": 0.98,
        "gae_lambda": 0.9,
        "learning_rate": 1e-3,
        "target_kl": 0.1,
        "policy_kwargs": {"log_std_init": -0.5, "net_arch": [64, 64]},
    },
}
"""Settings of stable-baselines3's PPO: its defaults, and those of ours as far as it has them; both
with normalised observations and rewards and one episode of every world in an iteration."""


@checked
class WallOptions:
    """Options of the bench."""

    seeds: Annotated[Count, Field(le=20, description="Number of seeds of each learner")] = 5
    worlds: Annotated[Count, Field(ge=2, le=4096, description="Worlds side by side")] = 32
    give_up: Annotated[
        Count, Field(le=100_000, description="s; time after which the other learner gives up")
    ] = 300


def measure(seed: int, options: WallOptions) -> Result:
    """Learn with every seed; return the median wall time."""
    torch.set_num_threads(1)
    ours, theirs = [], {name: list[dict[str, Any]]() for name in SETTINGS}
    for number in range(seed, seed + options.seeds):
        ours.append(_learn(number, options))
        for name, runs in theirs.items():
            runs.append(_learn_beside(name, number, options))
    value = median(run["wall_s"] for run in ours)
    medians = {name: median(run["wall_s"] for run in runs) for name, runs in theirs.items()}
    details = {
        "worlds": options.worlds,
        "threads": THREADS,
        "give_up_s": options.give_up,
        "ours": ours,
        "stable_baselines3": theirs,
        "times_faster": {name: wall_s / value for name, wall_s in medians.items()},
    }
    return Result(value, LIMIT, "s of wall time", details)


def _learn(seed: int, options: WallOptions) -> dict[str, Any]:
    settings = {"episodes_per_iteration": options.worlds}
    config = RunConfig(
        TASK, algorithm="ppo", backend="sim", until="success", max_hours=1e6, seed=seed,
        settings=settings, evaluate_every=EVERY,
    )  # fmt: skip
    began = time.monotonic()
    sampler = local_sampler(config.make_task(), options.worlds, THREADS, fresh=True)
    trainer = Trainer(config, sampler, stop=lambda: time.monotonic() - began > options.give_up)
    while not trainer.ended():
        trainer.iterate()
    reached = trainer.progress.success.reached is not None
    steps = trainer.progress.iteration * options.worlds * trainer.task.spaces.steps
    return _said("ppo", seed, began, reached, steps)


class Judge:
    """Callback of stable-baselines3: evaluates as `Trainer` does, and ends the learning."""

    def __init__(self, seed: int, options: WallOptions, began: float, normalised: Any) -> None:
        self._task, self._config = make_task(TASK), RunConfig(TASK)
        self._options, self._began, self._normalised = options, began, normalised
        sampler = local_sampler(self._task, options.worlds, THREADS, fresh=True)
        self._evaluator = Evaluator(sampler, seed, self._config.evaluation_episodes)
        self.calls, self.streak = 0, Streak()

    def __call__(self, values: Mapping[str, Any], _: Mapping[str, Any]) -> bool:
        """Return False to end the learning; takes the local and global variables of the library."""
        self.calls += 1
        iteration, step = divmod(self.calls, self._task.steps)
        if step == 0 and iteration % EVERY == 0:
            self._evaluate(values["self"], iteration)
        ended = time.monotonic() - self._began > self._options.give_up
        return self.streak.reached is None and not ended

    def _evaluate(self, model: Any, iteration: int) -> None:
        config, policy = self._config, NormalisedPolicy(model, self._normalised)
        verdict = self._evaluator.during_training(policy, iteration, config.success_rate)
        good = self._evaluator.is_good(verdict, "success_rate", config.success_rate)
        self.streak = self.streak.after(good, float(iteration), config.streak)


class NormalisedPolicy(PredictedPolicy):
    """A model of stable-baselines3 behind its normalisation of observations."""

    def __init__(self, model: Any, normalised: Any) -> None:
        super().__init__(model)
        self._normalised = normalised

    def act(self, observation: Any, noise: Any = None) -> Any:
        """See `Policy.act`."""
        return super().act(self._normalised.normalize_obs(observation), noise)


def _learn_beside(name: str, seed: int, options: WallOptions) -> dict[str, Any]:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize

    import handlab.gym  # noqa: F401  (registers the environments)
    from handlab.gym.registration import gym_id
    from handlab.stable_baselines import BatchVecEnv

    task, began = make_task(TASK), time.monotonic()
    envs = gymnasium.make_vec(
        gym_id(task),
        num_envs=options.worlds,
        autoreset_mode=AutoresetMode.SAME_STEP,
        threads=THREADS,
    )
    normalised = VecNormalize(BatchVecEnv(envs), gamma=0.98)
    model = PPO(
        "MlpPolicy", normalised, seed=seed, device="cpu", n_steps=task.steps, **SETTINGS[name]
    )
    judge = Judge(seed, options, began, normalised)
    model.learn(10**9, callback=judge)
    normalised.close()
    steps = judge.calls * options.worlds
    return _said(name, seed, began, judge.streak.reached is not None, steps)


def _said(name: str, seed: int, began: float, reached: bool, steps: int) -> dict[str, Any]:
    """Return the row of a run; print it, because a bench is long."""
    row = {
        "learner": name,
        "seed": seed,
        "wall_s": time.monotonic() - began,
        "learned": reached,
        "steps": steps,
    }
    print_row(row)
    return row


def wall_text(kept: Kept) -> str:
    """Return the text of a kept result."""
    walls = ", ".join(f"{run['wall_s']:.0f} s" for run in kept["ours"])
    times = kept["times_faster"]
    return (
        f"**{kept['value']:.0f} s** ({walls}); stable-baselines3's PPO takes "
        f"{times['defaults']:.1f} times as long with its defaults, {times['ours']:.1f} times with "
        "these settings"
    )


BENCH = Bench(
    measure,
    WallOptions,
    figure=Figure(
        "wall time of `ppo` on two cores, `valve` from nothing to 90 %", "at most 60 s", wall_text
    ),
)
