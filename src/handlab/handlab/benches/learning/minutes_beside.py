"""Robot-minutes to strict success of other learners on the same task, beside those of `rlpd`.

stable-baselines3's SAC and sb3-contrib's TQC, where they are installed, learn in the same
Gymnasium environment. Robot time counts steps and resets, as for `rlpd`. After every EVERY episodes
the policy runs without noise as in every evaluation of ours, and that takes no robot time. Each
learner has three settings; the table shows all, and the best one counts.
"""

import importlib
import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Annotated, Any

import gymnasium
import numpy as np
import torch
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all
from handlab.benches.learning.minutes import minutes_text
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.experiments.task_kinds import local_sampler
from handlab.reporting.compare import median_or_never
from handlab_core.environment.policies.policy import Policy
from handlab_core.system.validation import Count, Text, checked
from handlab_core.tasks import make_task
from handlab_core.types import Array
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.evaluation import Evaluator
from handlab_learning.runs.progress import Streak

NAME = "minutes_beside"

LIMIT = 3.0
"""Limit, at least: robot-minutes of the other learners as a multiple of those of `rlpd`."""

TASKS = {"valve": 30.0, "flip": 36.0}
"""Robot-minutes after which a run ends, by task: three times those asked of `rlpd`."""

LEARNERS = {"sac": ("stable_baselines3", "SAC"), "tqc": ("sb3_contrib", "TQC")}
"""Package and class of each learner, by name."""

EVERY = RunConfig().evaluate_every
"""Episodes between two evaluations; an iteration of `rlpd` is one."""


@dataclass(frozen=True)
class Setting:
    """One setting of a learner."""

    what: str
    """Description in the table."""
    reward_scale: float
    parameters: Mapping[str, Any]


SETTINGS = {
    "defaults": Setting("the library's defaults", 1.0, {}),
    "scaled": Setting(
        "rewards and discount as `rlpd`", 0.02, {"gamma": 0.97, "learning_starts": 300}
    ),
    "smooth": Setting(
        "in addition 4 updates a step, and noise that is held for 8 steps",
        0.02,
        {
            "gamma": 0.97,
            "learning_starts": 300,
            "gradient_steps": 4,
            "batch_size": 128,
            "tau": 0.01,
            "use_sde": True,
            "sde_sample_freq": 8,
            "policy_kwargs": {"net_arch": [128, 128]},
        },
    ),
}
"""Settings by name."""


@checked
class BesideOptions(TasksOptions):
    """Options of the bench."""

    learners: Annotated[
        Text,
        Field(description="Learners to measure, separated by commas; empty: all that there are"),
    ] = ""
    seeds: Annotated[Count, Field(le=20, description="Number of seeds of each setting")] = 2


def measure(seed: int, options: BesideOptions) -> Result:
    """Learn with every setting; return the least multiple of the robot-minutes of `rlpd`."""
    there = [name for name, (package, _) in LEARNERS.items() if importlib.util.find_spec(package)]
    learners = chosen("learners", options.learners, there)
    rows: dict[str, Any] = dict(kept(NAME, "rows"))
    seeds = range(seed, seed + options.seeds)
    own = kept("minutes", "rows")
    for task in chosen("tasks", options.tasks, TASKS):
        wanted = [f"{learner} {setting}" for learner in learners for setting in SETTINGS]
        done = learn_all(partial(_learn, task), wanted, seeds, bench=f"{NAME} {task}")
        for learner in learners:
            runs = {setting: done[f"{learner} {setting}"] for setting in SETTINGS}
            rows[f"{task} {learner}"] = _row(task, learner, runs, own.get(task))
    ratios = [row["ratio"] for row in rows.values() if row["ratio"] is not None]
    return Result(
        min(ratios, default=0.0), LIMIT, "times the robot-minutes of rlpd", {"rows": rows}
    )  # fmt: skip


def _row(
    task: str, learner: str, runs: dict[str, list[dict[str, Any]]], own: Mapping[str, Any] | None
) -> dict[str, Any]:
    minutes = {name: [run["robot_minutes"] for run in many] for name, many in runs.items()}
    give_up = TASKS[task]
    medians = {name: median_or_never(values) for name, values in minutes.items()}
    best = min(medians, key=lambda name: medians[name] or float("inf"))
    ours = own and own["median_robot_minutes"]
    reached = median(give_up if m is None else m for m in minutes[best])
    made = origin(NAME)
    return {
        "task": task,
        "learner": learner,
        "given_up_after": give_up,
        "robot_minutes": minutes,
        "median_robot_minutes": medians,
        "best": best,
        "last_success_rate": {n: [run["success_rate"] for run in r] for n, r in runs.items()},
        "wall_s": {name: [run["wall_s"] for run in many] for name, many in runs.items()},
        "rlpd_median_robot_minutes": ours,
        "ratio": reached / ours if ours else None,
        "commit": made["commit"],
        "date": made["date"],
    }


class Scaled(gymnasium.RewardWrapper[Array, Array]):
    """Rewards times a factor."""

    def __init__(self, env: gymnasium.Env[Array, Array], scale: float) -> None:
        super().__init__(env)
        self._scale = scale

    def reward(self, reward: Any) -> float:
        """Return the scaled reward."""
        return float(reward) * self._scale


class PredictedPolicy:
    """Implements `Policy` with a model of stable-baselines3, without noise.

    Args:
        model: the model.
    """

    version = 0

    def __init__(self, model: Any) -> None:
        self._model = model

    def begin(self) -> Policy:
        """See `Policy.begin`; this kind has no memory."""
        return self

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`."""
        action, _ = self._model.predict(observation.astype(np.float32), deterministic=True)
        return np.asarray(action, dtype=np.float64)

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        return np.zeros((steps, self._model.action_space.shape[0]))

    def tensors(self) -> dict[str, Array]:
        """Return nothing: the policy is not kept."""
        return {}


class Judge:
    """Callback of stable-baselines3: counts robot time, evaluates, and ends the learning.

    Args:
        task_name: task of the run.
        seed: seed of the run.
        give_up: robot-minutes of the limit.
    """

    def __init__(self, task_name: str, seed: int, give_up: float) -> None:
        task, config = make_task(task_name), RunConfig(task_name)
        self._period, self._config, self._give_up = task.period, config, give_up
        sampler = local_sampler(task, config.evaluation_episodes, 1)
        self._evaluator = Evaluator(sampler, seed, config.evaluation_episodes)
        self._episodes, self._robot_s, self.strict = 0, 0.0, Streak()
        self.success_rate = 0.0

    def __call__(self, values: Mapping[str, Any], _: Mapping[str, Any]) -> bool:
        """Return False to end the learning; takes the local and global variables of the library."""
        if not self._robot_s:
            self._count_reset(values["env"])
        self._robot_s += self._period
        if not values["dones"][0]:
            return True
        self._episodes += 1
        minutes = self._robot_s / 60
        if self._episodes % EVERY == 0:
            self._evaluate(values["self"], minutes / 60)
        self._count_reset(values["env"])
        return self.strict.reached is None and minutes < self._give_up

    def _count_reset(self, env: Any) -> None:
        """Add the robot time of the newest reset."""
        [info] = env.reset_infos
        self._robot_s += float(np.asarray(info["reset_s"]).sum())

    def _evaluate(self, model: Any, robot_hours: float) -> None:
        config, policy = self._config, PredictedPolicy(model)
        verdict = self._evaluator.during_training(policy, self._episodes, config.success_rate)
        good = self._evaluator.is_good(verdict, "strict_success_rate", config.success_rate)
        self.success_rate = verdict["strict_success_rate"]
        self.strict = self.strict.after(good, robot_hours, config.streak)


def _learn(task: str, root: str, name: str, seed: int) -> dict[str, Any]:
    import handlab.gym  # noqa: F401  (registers the environments)
    from handlab.gym.registration import gym_id

    torch.set_num_threads(1)
    learner, chosen_setting = name.split()
    package, kind = LEARNERS[learner]
    setting, began = SETTINGS[chosen_setting], time.monotonic()
    env = Scaled(gymnasium.make(gym_id(make_task(task))), setting.reward_scale)
    model = getattr(importlib.import_module(package), kind)(
        "MlpPolicy", env, seed=seed, device="cpu", **setting.parameters
    )
    judge = Judge(task, seed, TASKS[task])
    model.learn(10**9, callback=judge)
    env.close()
    hours = judge.strict.reached
    run = {
        "robot_minutes": None if hours is None else 60 * hours,
        "success_rate": judge.success_rate,
        "wall_s": time.monotonic() - began,
    }
    shown = {"task": task, "learner": learner, "setting": chosen_setting, "seed": seed} | run
    print_row(shown)
    return run


def beside_table(result: Kept | None) -> str:
    """Return the table of all settings."""
    if result is None:
        return NOT_YET
    rows = [
        "| task | learner | setting | robot-minutes, each seed | times those of `rlpd` |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"].values():
        for name, minutes in row["robot_minutes"].items():
            texts = (
                f"never in {row['given_up_after']:g}" if m is None else minutes_text(m)
                for m in minutes
            )
            times = f"{row['ratio']:.1f}" if name == row["best"] and row["ratio"] else ""
            what = SETTINGS[name].what if name in SETTINGS else name
            cells = f"`{row['task']}`", row["learner"].upper(), what, ", ".join(texts), times
            rows.append(f"| {' | '.join(cells)} |")
    return with_command(rows, result)


def _cell(result: Kept) -> str:
    texts = [
        f"`{row['task']}` {row['learner'].upper()} **{row['ratio']:.1f}**"
        for row in result["rows"].values()
        if row["ratio"]
    ]
    return ", ".join(texts)


BENCH = Bench(
    measure,
    options=BesideOptions,
    parts=("tasks", TASKS),
    figure=Figure(
        "robot-minutes to strict success of stable-baselines3's SAC and sb3-contrib's TQC, the "
        "best of three settings each, as a multiple of those of `rlpd`",
        "at least 3",
        _cell,
    ),
    tables=(Table("minutes_beside", beside_table),),
)
