"""Run episodes of a policy in an environment."""

import logging
from collections.abc import Callable

import numpy as np

from handlab_core.env import Env
from handlab_core.episode import Episode
from handlab_core.errors import HandWarm, RewardLost
from handlab_core.policy import GaussianPolicy
from handlab_core.station import ResetResult
from handlab_core.tasks.task import NOISE_STREAM, episode_rng
from handlab_core.types import Array, BoolArray, IntArray, Reward

MAX_BREAKS = 10
"""Attempts at one episode that may lose a reward. A busy machine loses one now and then; a node
that is missing loses one in every attempt."""

log = logging.getLogger(__name__)


def rollout(
    env: Env,
    policy: GaussianPolicy,
    seed: int,
    episodes: IntArray,
    deterministic: bool = False,
    on_step: Callable[[int], None] | None = None,
) -> list[Episode]:
    """Run one episode on each robot.

    When a hand is warm the episode ends at that step, the hand rests, and the same episode begins
    again; the lost time counts as cooling. When the reward of a state is lost the same episode
    begins again at once; the lost time counts as reset.

    Args:
        env: N robots.
        policy: acts.
        seed: of the run; with an episode's number it fixes start, goal and noise.
        episodes: numbers of the episodes, (N,).
        deterministic: act with the mean.
        on_step: called after each step with the number of steps done; may raise to stop.

    Returns:
        One episode per robot, in the order of `episodes`.

    Raises:
        RewardLost: rewards were lost in MAX_BREAKS attempts in a row.
    """
    steps, n = env.task.steps, env.hand.n
    streams = [episode_rng(seed, int(episode), NOISE_STREAM) for episode in episodes]
    noise = np.stack([stream.standard_normal((steps, n)) for stream in streams], axis=1)
    cooling = lost = 0.0
    breaks = 0
    while True:
        spent = 0.0
        try:
            observation, start = env.reset(seed, episodes)
            spent = float(start.duration.max())
            observations, actions, rewards = [observation], [], []
            before = None
            for t in range(steps):
                action = policy.act(observation, None if deterministic else noise[t])
                spent += env.task.period
                step = env.step(action)
                observation = step.observation
                actions.append(action)
                observations.append(observation)
                if before is not None:  # a step behind: see `Station.reward`
                    rewards.append(env.reward(before))
                before = step
                if on_step is not None:
                    on_step(t + 1)
            rewards.append(env.reward(step))
        except HandWarm:
            cooling += spent + env.station.rest()
            continue
        except RewardLost as error:
            breaks += 1
            if breaks == MAX_BREAKS:
                raise RewardLost(f"{error}; so it was in {breaks} attempts in a row") from None
            lost += spent
            log.warning("episode %d is broken off and repeated: %s", episodes[0], error)
            continue
        made = observations, actions, rewards, step.terminated
        extra = start, cooling, lost, breaks
        return _episodes(env, policy, seed, episodes, deterministic, *made, *extra)


def _episodes(
    env: Env,
    policy: GaussianPolicy,
    seed: int,
    episodes: IntArray,
    deterministic: bool,
    observations: list[Array],
    actions: list[Array],
    results: list[Reward],
    terminated: BoolArray,
    start: ResetResult,
    cooling: float,
    lost: float,
    breaks: int,
) -> list[Episode]:
    errors = np.stack([reward.error for reward in results])
    rewards = np.stack([reward.total for reward in results])
    terms = np.stack([reward.terms for reward in results])
    temperatures = env.station.temperatures()
    verdicts = [env.task.succeeded(errors[:, i]) for i in range(env.worlds)]
    return [
        Episode(
            episode=int(episode),
            policy_version=policy.version,
            seed=seed,
            deterministic=deterministic,
            observations=np.stack([row[i] for row in observations]),
            actions=np.stack([row[i] for row in actions]),
            rewards=rewards[:, i].copy(),
            reward_terms=terms[:, i].copy(),
            errors=errors[:, i].copy(),
            terminated=bool(terminated[i]),
            success=verdicts[i][0],
            strict_success=verdicts[i][1],
            goal_angle=start.goal.angle[i].copy(),
            experience_s=len(results) * env.task.period,
            reset_s=float(start.duration[i]) + lost,
            cooling_s=cooling,
            reset_attempts=int(start.attempts[i]),
            breaks=breaks,
            temperatures=temperatures[i].copy(),
        )
        for i, episode in enumerate(episodes)
    ]
