"""Gymnasium's face: `gymnasium.make("handlab/ClawValve-v0", backend="sim" or "graph")`.

A reset with a seed is a fresh start: everything is placed at once where that is possible, so that
the same seed gives the same episode. Resets without a seed are made by the robot's own motors.
"""

from handlab.gym.environment import HandlabEnv
from handlab.gym.errors import BadArgument, EnvironmentClosed, InvalidAction, ResetNeeded
from handlab.gym.registration import gym_id, register_envs
from handlab.gym.vector_environment import HandlabVectorEnv

__all__ = [
    "BadArgument",
    "EnvironmentClosed",
    "HandlabEnv",
    "HandlabVectorEnv",
    "InvalidAction",
    "ResetNeeded",
    "gym_id",
    "register_envs",
]

register_envs()
