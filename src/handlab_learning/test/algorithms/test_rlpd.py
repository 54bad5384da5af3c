"""Soft actor-critic: problems with known answers, targets by hand, and exact resumption."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms import make_algorithm
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig

TASK = make_task("valve")
SMALL = RlpdConfig(
    hidden=(8,), batch=16, update_ratio=0.5, first_episodes=1, cloned_first_episodes=1,
    cloning_updates=20, cloned_critic_warm_up=3, own_successes=False, trial_every=0,
)  # fmt: skip


def episode_of(observations, actions, rewards, terminated=False, number=0):
    """An episode of another environment."""
    path = Trajectory(
        observations=np.array(observations, dtype=float),
        actions=np.array(actions, dtype=float),
        rewards=np.array(rewards, dtype=float),
        reward_terms=np.zeros((len(rewards), 1)),
        errors=np.zeros(len(rewards)),
        goal_angle=np.zeros(1),
    )
    outcome = Outcome(False, False, terminated)
    key, time = EpisodeKey(number, 0, 0, deterministic=False), RobotTime(1.0)
    return Episode(key, path, outcome, time, unknown_temperatures(1))


def chain(rng, terminated=False):
    """Two states that follow each other whatever is done; leaving the second one gives 1."""
    states = np.arange(9) % 2
    observations = np.eye(2)[states]
    return episode_of(observations, rng.uniform(-1, 1, (8, 1)), states[:-1], terminated)


def values_of(learner, observations):
    """Mean value of each state over actions and members."""
    with torch.no_grad():
        action = torch.linspace(-1, 1, 21)[:, None]
        return [
            float(
                learner.sac.critics(torch.cat((torch.tensor(o).expand(21, -1), action), 1)).mean()
            )
            for o in observations
        ]


CHAIN = RlpdConfig(
    hidden=(32,), batch=64, gamma=0.5, n_step=1, reward_scale=1.0, first_episodes=1,
    update_ratio=100.0,
    critic_warm_up=100_000, target_rate=0.05, critic_rate=3e-3, entropy_backup=False,
)  # fmt: skip


@pytest.mark.parametrize("n_step", [1, 3])
def test_the_values_of_a_two_state_chain(n_step):
    """V0 = V1 / 2 and V1 = 1 + V0 / 2, so V0 = 2/3 and V1 = 4/3."""
    learner = Rlpd(Spaces(2, 1, 8), replace(CHAIN, n_step=n_step, critic_warm_up=0), 0)
    learner.config = replace(learner.config, actor_every=10**9)
    rng = np.random.default_rng(0)
    learner.update([chain(rng) for _ in range(4)])
    learner.update_meanwhile()
    assert values_of(learner, np.eye(2, dtype=np.float32)) == pytest.approx(
        [2 / 3, 4 / 3], abs=0.05
    )


def test_the_entropy_of_the_policy_is_part_of_the_values():
    """Each later step adds alpha times the entropy H, here alpha H / 2 / (1 - 1/2) in sum."""
    config = replace(CHAIN, entropy_backup=True, temperature=0.5, critic_warm_up=0)
    learner = Rlpd(Spaces(2, 1, 8), config, 0)
    learner.config = replace(config, actor_every=10**9)
    learner.update([chain(np.random.default_rng(0)) for _ in range(4)])
    learner.update_meanwhile()
    x = torch.eye(2)[torch.arange(20_000) % 2]
    with torch.no_grad():
        entropy = -float(learner.sac.actor.sample(x, torch.Generator().manual_seed(0))[1].mean())
    expected = np.array([2 / 3, 4 / 3]) + 0.5 * entropy
    assert values_of(learner, np.eye(2, dtype=np.float32)) == pytest.approx(expected, abs=0.1)


def test_the_gain_of_a_linear_quadratic_problem():
    """s' = s + u / 2, cost s^2 + u^2 / 10, discount 0.9: u = -K s by the Riccati equation."""
    p = 1.0
    for _ in range(1000):
        k = 0.9 * p * 0.5 / (0.1 + 0.9 * p * 0.25)
        p = 1.0 + 0.9 * p * (1.0 - 0.5 * k)
    rng = np.random.default_rng(0)
    episodes = []
    for _ in range(40):
        states, actions = [rng.uniform(-0.6, 0.6)], rng.uniform(-1, 1, 20)
        for action in actions:
            states.append(float(np.clip(states[-1] + 0.5 * action, -1, 1)))
        cost = np.square(states[:-1]) + 0.1 * np.square(actions)
        episodes.append(episode_of(np.array(states)[:, None], actions[:, None], -cost))
    config = RlpdConfig(
        hidden=(32,), batch=64, gamma=0.9, reward_scale=1.0, first_episodes=1, actor_every=2,
        update_ratio=75.0, critic_rate=2e-3, actor_rate=2e-3, temperature=0.01,
        target_entropy=-3.0, target_rate=0.02,
    )  # fmt: skip
    learner = Rlpd(Spaces(1, 1, 20), config, 0)
    learner.update(episodes)
    learner.update_meanwhile()
    x = np.linspace(-0.5, 0.5, 11)[:, None]
    gain, _ = np.polyfit(x[:, 0], learner.policy().act(x)[:, 0], 1)
    assert 1.0 < k < 1.6
    assert gain == pytest.approx(-k, rel=0.15)


@pytest.fixture
def own(episodes_of, squashed):
    rng = np.random.default_rng(0)
    return episodes_of(TASK, squashed, rng, lambda a: -np.abs(a - 0.3).sum(-1), count=6)


def test_updates_are_fixed_by_the_newest_episode_and_end_early_on_request(own):
    learner = Rlpd(TASK.spaces, replace(SMALL, first_episodes=2, update_ratio=3.0), 0)
    assert learner.update_meanwhile() == {}
    learner.update(own[:1])
    assert learner.update_meanwhile() == {}
    learner.update(own[1:2])
    assert learner.update_meanwhile()["updates"] == 3 * own[1].steps
    late = Rlpd(TASK.spaces, replace(SMALL, update_ratio=10_000.0), 0)
    late.update(own[:1])
    assert 0 < late.update_meanwhile(lambda: True)["updates"] < 10_000 * own[0].steps


def test_critics_warm_up_before_the_actor_follows_them(own):
    learner = Rlpd(TASK.spaces, replace(SMALL, critic_warm_up=30, actor_every=1), 0)
    x = own[0].trajectory.observations
    before = learner.policy().act(x)
    learner.update(own[:1])
    learner.config = replace(learner.config, update_ratio=0.01)  # nothing but the warm-up is due
    assert learner.update_meanwhile()["updates"] == 30
    np.testing.assert_array_equal(learner.policy().act(x), before)
    learner.config = replace(learner.config, update_ratio=0.5)
    learner.update_meanwhile()
    assert not np.array_equal(learner.policy().act(x), before)


def test_the_policy_that_is_handed_out_is_an_average(own):
    learner = Rlpd(TASK.spaces, replace(SMALL, actor_every=1, average_rate=0.5), 0)
    x = own[0].trajectory.observations
    start = learner.sac.averaged.net[-1].bias.clone()
    learner.update(own[:1])
    learner.config = replace(learner.config, update_ratio=1 / own[0].steps)
    learner.update_meanwhile()
    middle = (start + learner.sac.actor.net[-1].bias.detach()) / 2
    torch.testing.assert_close(learner.sac.averaged.net[-1].bias, middle)
    assert not np.array_equal(learner.policy().act(x), learner.result().act(x))
    assert learner.policy().version != learner.result().version


def test_half_of_each_batch_are_demonstrations(own):
    shown = [replace(e, trajectory=replace(e.trajectory, rewards=np.full(12, 70.0))) for e in own]
    learner = Rlpd(TASK.spaces, replace(SMALL, batch=10, reward_scale=1.0, n_step=1), 0, shown)
    learner.update(own)
    for _ in range(20):
        assert int((learner._draw().reward == 70.0).sum()) == 5


def test_the_first_policy_is_a_clone_of_the_demonstrations(own):
    config = replace(SMALL, cloning_updates=800, hidden=(32,))
    target = np.full((12, TASK.hand.n), 0.4)
    shown = [replace(e, trajectory=replace(e.trajectory, actions=target)) for e in own]
    learner = Rlpd(TASK.spaces, config, 0, shown)
    action = learner.result().act(own[0].trajectory.observations)
    np.testing.assert_allclose(action, 0.4, atol=0.1)
    assert learner.sac.temperature == pytest.approx(config.cloned_temperature)
    assert Rlpd(TASK.spaces, config, 0).sac.temperature == pytest.approx(config.temperature)


def test_a_clone_stays_until_its_critics_know_something(own):
    config = replace(SMALL, cloned_critic_warm_up=10, actor_every=1, update_ratio=0.01)
    learner = Rlpd(TASK.spaces, config, 0, own)
    x = own[0].trajectory.observations
    cloned = learner.policy().act(x)
    learner.update(own[:1])
    assert learner.update_meanwhile()["updates"] == 10
    np.testing.assert_array_equal(learner.policy().act(x), cloned)
    learner.config = replace(config, update_ratio=0.5)
    learner.update_meanwhile()
    assert not np.array_equal(learner.policy().act(x), cloned)


def test_a_clone_explores_near_the_demonstrations(own):
    learner = Rlpd(TASK.spaces, replace(SMALL, cloned_std=0.06), 0, own)
    x = torch.tensor(own[0].trajectory.observations, dtype=torch.float32)
    np.testing.assert_allclose(learner.sac.actor(x)[1].exp().detach(), 0.06, rtol=1e-4)
    plain = Rlpd(TASK.spaces, SMALL, 0).sac.actor(x)[1].exp().detach()
    assert float(plain.mean()) == pytest.approx(1.0, abs=0.3)


def test_a_clone_holds_at_any_size_of_the_rewards(own):
    """The term of cloning is in units of the values: the actor's gradient keeps its direction."""
    pulls = []
    for scale in (0.02, 20.0):
        config = replace(SMALL, reward_scale=scale, cloning_weight=1e6, cloned_critic_warm_up=0)
        learner = Rlpd(TASK.spaces, config, 0, own)
        learner.update(own[:1])
        with torch.no_grad():
            learner.sac.critics.layers[-2].zero_()
            learner.sac.critics.layers[-1].fill_(100.0 * scale)
        learner.sac.update_actor(learner._draw().observation, learner._distance)
        pulls.append(float(learner.sac.actor.net[-1].weight.grad.norm()))
    assert pulls[1] / pulls[0] == pytest.approx(1000.0, rel=0.1)


def test_demonstrations_are_optional_but_must_fit(own):
    make_algorithm("rlpd", TASK.spaces, SMALL, 0)
    make_algorithm("rlpd", TASK.spaces, SMALL, 0, own)
    broken = replace(own[0], trajectory=replace(own[0].trajectory, actions=np.zeros((12, 2))))
    with pytest.raises(BadDemonstrations, match=r"actions of shape \(12, 2\)"):
        make_algorithm("rlpd", TASK.spaces, SMALL, 0, [broken])


@pytest.mark.parametrize("shown", [False, True])
def test_a_resumed_run_is_uninterrupted_to_the_last_bit(own, shown):
    given = own[4:] if shown else []
    one, two = (Rlpd(TASK.spaces, SMALL, 5, given) for _ in range(2))
    for episode in own[:4]:
        one.update_meanwhile()
        one.update([episode])
    for episode in own[:2]:
        two.update_meanwhile()
        two.update([episode])
    three = Rlpd(TASK.spaces, SMALL, 99, given)
    three.load_state_dict({k: v.clone() for k, v in two.state_dict().items()})
    three.recall(own[:2])
    for episode in own[2:4]:
        three.update_meanwhile()
        three.update([episode])
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, three.state_dict()[name]), name
    assert one.policy().version == three.policy().version


def test_settings_that_cannot_be_are_refused():
    for name, value in (("gamma", 0.0), ("critics", 0), ("noise_exponent", -1.0), ("batch", 2.5)):
        with pytest.raises(BadConfig, match=name):
            RlpdConfig(**{name: value})
    with pytest.raises(BadConfig, match="subset"):
        RlpdConfig(critics=2, subset=3)
