#!/usr/bin/env python3
"""Learn a task by stable-baselines3's PPO on a batch of simulated robots.

Run it with the environment's Python: .venv/bin/python examples/stable_baselines.py
"""

import argparse

import gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from handlab.stable_baselines import BatchVecEnv


def main(words: list[str] | None = None) -> float:
    """Train, evaluate, print and return the mean return of an episode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="handlab/ClawValve-v0", help="name in Gymnasium")
    parser.add_argument("--robots", type=int, default=16, help="robots in the batch")
    parser.add_argument("--steps", type=int, default=200_000, help="steps of all robots together")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)

    envs = gymnasium.make_vec(given.env, num_envs=given.robots, autoreset_mode="SameStep")
    batch = VecMonitor(BatchVecEnv(envs))
    model = PPO("MlpPolicy", batch, n_steps=60, batch_size=480, seed=given.seed, device="cpu")
    model.learn(given.steps)
    mean, spread = evaluate_policy(model, batch, n_eval_episodes=given.robots)
    print(f"return of an episode: {mean:.1f} (standard deviation {spread:.1f})")
    batch.close()
    return float(mean)


if __name__ == "__main__":
    main()
