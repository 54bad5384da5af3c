"""Run episodes of a policy in an environment."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlab_core.environment.env import Env
from handlab_core.environment.episode import Episode, EpisodePlan, Outcome, RobotTime, Trajectory
from handlab_core.environment.intervention import Intervener
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.station import ResetResult
from handlab_core.errors import HandStopped, HandWarm, RewardLost
from handlab_core.safety.emergency_stop import simulated_hands
from handlab_core.tasks.task import NOISE_STREAM, episode_rng
from handlab_core.types import Array, BoolArray, Reward

MAX_BREAKS = 10
"""Maximum number of attempts at one episode that lose a reward. A busy machine loses one now and
then; a missing node loses one in every attempt."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Recording:
    """Steps of one attempt, N robots; each list has one item per step."""

    start: ResetResult
    observations: list[Array]
    actions: list[Array]
    rewards: list[Reward]
    terminated: BoolArray
    interventions: list[BoolArray]  # empty: there is no intervener


def rollout(
    env: Env,
    policy: Policy,
    plan: EpisodePlan,
    on_step: Callable[[int], None] | None = None,
    intervener: Intervener | None = None,
) -> list[Episode]:
    """Run one episode on each robot.

    When a hand is warm the episode ends at that step, the hand rests, and the same episode begins
    again; the lost time counts as cooling. When the reward of a state is lost the same episode
    begins again at once; the lost time counts as reset. So it does when a person has engaged a hand
    again that the emergency stop released; the stop itself is no robot time.

    Args:
        env: N robots.
        policy: computes the actions.
        plan: N episodes, one for each robot.
        on_step: called after each step with the number of steps done; may raise to stop.
        intervener: may act in place of the policy; None: nothing does. The episode contains the
            actions that were taken, whoever gave them.

    Returns:
        One episode per robot, in the order of the plan.

    Raises:
        RewardLost: rewards were lost in MAX_BREAKS attempts in a row.
    """
    numbers = np.asarray(plan.numbers)
    streams = [episode_rng(plan.seed, int(number), NOISE_STREAM) for number in numbers]
    noise = np.stack([policy.noise(stream, env.task.steps) for stream in streams], axis=1)
    attempt = _Attempt(env, policy, plan, noise, on_step, intervener)
    cooling = lost = 0.0
    breaks = lost_rewards = 0
    while True:
        try:
            recording = attempt.run()
            break
        except HandWarm:
            cooling += attempt.spent + env.station.rest()
        except HandStopped:
            breaks += 1
            lost += attempt.spent
            env.station.await_engaged()
        except RewardLost as error:
            breaks += 1
            lost_rewards += 1
            if lost_rewards == MAX_BREAKS:
                raise RewardLost(
                    f"{error}; {lost_rewards} attempts in a row failed like this"
                ) from None
            lost += attempt.spent
            log.warning("episode %d is broken off and repeated: %s", numbers[0], error)
    temperatures, start = env.station.temperatures(), recording.start
    episodes = []
    for i, number in enumerate(numbers):
        trajectory = _trajectory(recording, i)
        success, strict = env.task.succeeded(trajectory.errors)
        time = RobotTime(
            experience_s=len(trajectory.rewards) * env.task.period,
            reset_s=float(start.duration[i]) + lost,
            cooling_s=cooling,
            reset_attempts=int(start.attempts[i]),
            breaks=breaks,
        )
        key = plan.key(number, policy.version)
        outcome = Outcome(success, strict, bool(recording.terminated[i]))
        taken = np.array([float(row[i]) for row in recording.interventions])
        episodes.append(Episode(key, trajectory, outcome, time, temperatures[i].copy(), taken))
    return episodes


@dataclass(slots=True)
class _Attempt:
    """Attempts at one plan, each from its reset on; an exception breaks one off."""

    env: Env
    policy: Policy
    plan: EpisodePlan
    noise: Array  # (T, N, A)
    on_step: Callable[[int], None] | None
    intervener: Intervener | None
    spent: float = 0.0  # s; robot time of the newest attempt

    def run(self) -> _Recording:
        """Run all steps once."""
        env, plan, intervener, self.spent = self.env, self.plan, self.intervener, 0.0
        observation, start = env.reset(plan.seed, np.asarray(plan.numbers))
        self.spent = float(start.duration.max())
        observations, actions, rewards = [observation], [], []
        interventions: list[BoolArray] = []
        hand, obj = start.hand, start.object
        if intervener is not None:
            intervener.begin(start, plan.seed)
        acting, before = self.policy.begin(), None
        for t in range(env.task.steps):
            action = acting.act(observation, None if plan.deterministic else self.noise[t])
            limp = False
            if intervener is not None:
                given = intervener.act(hand, obj, start.goal)
                action, limp = np.where(given.taken[:, None], given.action, action), given.limp
                interventions.append(given.taken)
            self.spent += env.task.period
            simulated_hands.check()
            if limp:
                step, action = env.let_go(hand, obj)
            else:
                step = env.step(action)
            observation = step.observation
            hand, obj = step.sample.hand, step.sample.object
            actions.append(action)
            observations.append(observation)
            if before is not None:  # a step behind: see `Station.reward`
                rewards.append(env.reward(before))
            before = step
            if self.on_step is not None:
                self.on_step(t + 1)
        rewards.append(env.reward(step))
        return _Recording(start, observations, actions, rewards, step.terminated, interventions)


def _trajectory(recording: _Recording, robot: int) -> Trajectory:
    """Return the trajectory of one robot."""
    return Trajectory(
        observations=np.stack([row[robot] for row in recording.observations]),
        actions=np.stack([row[robot] for row in recording.actions]),
        rewards=np.array([reward.total[robot] for reward in recording.rewards]),
        reward_terms=np.stack([reward.terms[robot] for reward in recording.rewards]),
        errors=np.array([reward.error[robot] for reward in recording.rewards]),
        goal_angle=recording.start.goal.angle[robot].copy(),
    )
