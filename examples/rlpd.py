#!/usr/bin/env python3
"""Learn in any environment of Gymnasium by `rlpd`, and count the robot time.

Run it with the environment's Python: .venv/bin/python examples/rlpd.py --env handlab/ClawPose-v0

The learner needs finished episodes alone. It may therefore learn from a robot, a simulation, or an
environment of another project with numbers as actions.
"""

import argparse
from typing import Any

import gymnasium
import numpy as np

import handlab.gym  # noqa: F401  (registers the environments)
from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.environment.policies.policy import Policy
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig


def run_episode(
    env: gymnasium.Env[Any, Any], policy: Policy, number: int, rng: np.random.Generator, steps: int
) -> Episode:
    """Run one episode with exploration noise.

    Args:
        env: the environment.
        policy: computes the actions.
        number: number of the episode; the first one is begun with a seed.
        rng: source of the noise.
        steps: largest number of steps of an episode.
    """
    acting, noise = policy.begin(), policy.noise(rng, steps)
    observation, info = env.reset(seed=0 if number == 0 else None)
    reset_s = float(np.sum(info.get("reset_s", 0.0)))
    observations, actions, rewards, errors = [observation], [], [], []
    terminated = truncated = False
    while not (terminated or truncated) and len(actions) < steps:
        action = acting.act(observation[None], noise[None, len(actions)])[0]
        observation, reward, terminated, truncated, info = env.step(np.clip(action, -1, 1))
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
        errors.append(float(np.sum(info.get("error", 0.0))))
    path = Trajectory(
        np.array(observations, dtype=float), np.array(actions), np.array(rewards),
        np.array(rewards)[:, None], np.array(errors), np.zeros(1),
    )  # fmt: skip
    success = bool(np.any(info.get("is_success", False)))
    seconds = len(rewards) / env.metadata.get("render_fps", 10)
    return Episode(
        EpisodeKey(number, 0, policy.version, deterministic=False),
        path,
        Outcome(success, success, terminated),
        RobotTime(seconds, reset_s),
        unknown_temperatures(path.actions.shape[1]),
    )


def main(words: list[str] | None = None) -> float:
    """Learn, print every episode, and return the mean return of the last ten."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="handlab/ClawPose-v0", help="name in Gymnasium")
    parser.add_argument("--episodes", type=int, default=150)
    parser.add_argument("--steps", type=int, default=80, help="largest number in an episode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hidden", type=int, default=128, help="width of two layers")
    given = parser.parse_args(words)

    env = gymnasium.make(given.env)
    assert isinstance(env.observation_space, gymnasium.spaces.Box)
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    spaces = Spaces(env.observation_space.shape[0], env.action_space.shape[0], given.steps)
    config = RlpdConfig(hidden=(given.hidden, given.hidden), symmetries=False)
    learner, rng = Rlpd(spaces, config, given.seed), np.random.default_rng(given.seed)
    returns, robot_s = [], 0.0
    for number in range(given.episodes):
        episode = run_episode(env, learner.policy(), number, rng, given.steps)
        learner.update([episode])
        learner.update_meanwhile()  # a robot would act on during these updates
        robot_s += episode.time.robot_s
        returns.append(episode.episode_return)
        print(f"episode {number:4d}  {robot_s / 60:6.1f} robot-min  return {returns[-1]:9.1f}")
    env.close()
    return float(np.mean(returns[-10:]))


if __name__ == "__main__":
    main()
