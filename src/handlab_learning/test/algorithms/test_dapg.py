"""The mathematics of cloning and of the demonstration augmented policy gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms import make_algorithm, npg
from handlab_learning.algorithms.bc import Bc, BcConfig, Cloning, CloningConfig
from handlab_learning.algorithms.dapg import Dapg, DapgConfig
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.models.policy_network import PolicyNet, spread

TASK = make_task("valve")
SMALL = NpgConfig(hidden=(6,))


def with_trajectory(episode, **arrays):
    return replace(episode, trajectory=replace(episode.trajectory, **arrays))


@pytest.fixture
def demonstrations(episodes_of):
    """Ten episodes of a policy that is a linear function of the observation, in their units."""
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(TASK.observation_size, TASK.hand.n)) / 5
    made = episodes_of(TASK, Npg(TASK.spaces, SMALL, 0).policy(), rng, lambda a: a.sum(-1))
    return [with_trajectory(e, actions=e.trajectory.observations[:-1] @ gain + 0.3) for e in made]


def one_step(episodes_of, observation, action):
    """A demonstration of one number in, one number out."""
    rng = np.random.default_rng(0)
    [episode] = episodes_of(TASK, Npg(TASK.spaces, SMALL, 0).policy(), rng, lambda a: a.sum(-1), 1)
    return with_trajectory(
        episode, observations=np.array([[observation], [0.0]]), actions=np.array([[action]])
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.1 * 0.95**3),
        ({"max_advantage": True}, 0.1 * 0.95**3 * 2.5),
        ({"lambda0": 0.01}, 0.01 * 0.95**3),
        ({"lambda1": 1.0}, 0.1),
        ({"lambda1": 0.0}, 0.0),
    ],
)
def test_the_weight_of_demonstrations_after_three_iterations(demonstrations, change, expected):
    learner = Dapg(TASK.spaces, DapgConfig(npg=SMALL, watched=2, **change), 0, demonstrations)
    learner.npg.version = 2 + 3
    advantage = torch.tensor([-1.0, 2.5, 0.3])
    assert learner.weight(advantage) == pytest.approx(expected)


def test_the_augmented_gradient_by_hand(episodes_of, monkeypatch):
    """A linear policy at 0 with standard deviation 1, where the gradients of the log density are
    a o for the weight, a for the bias and a^2 - 1 for the log deviation.

    Own steps (o, a, A): (1, 1, 1), (1, -1, -1): half their sum is (1, 1, 0). The demonstration
    (2, 3) gives (6, 3, 8), times 0.1 * 0.5^1 * max A = 0.05, divided by the two own steps.
    """
    config = DapgConfig(
        lambda1=0.5,
        max_advantage=True,
        cloning=CloningConfig(epochs=1, units=False, noise_of_demonstrations=False),
        npg=NpgConfig(hidden=()),
    )
    learner = Dapg(Spaces(1, 1, 2), config, 0, [one_step(episodes_of, 2.0, 3.0)])
    with torch.no_grad():
        for parameter in learner.npg.net.parameters():
            parameter.zero_()
    learner.npg.version = 1
    seen = []

    def spy(product, target, *_):
        seen.append(target)
        return target

    monkeypatch.setattr(npg, "conjugate_gradient", spy)
    column = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    ones = torch.ones_like(column)
    learner.npg.update_policy(ones, column, column[:, 0], learner.augmentation)
    names = [name for name, _ in learner.npg.net.named_parameters()]
    got = dict(zip(names, seen[0].tolist(), strict=True))
    assert got == pytest.approx(
        {"mean.0.weight": 1 + 0.15, "mean.0.bias": 1 + 0.075, "log_std": 0.2}
    )


def test_without_weight_it_is_the_natural_gradient(demonstrations, episodes_of):
    learner = Dapg(TASK.spaces, DapgConfig(lambda0=0.0, npg=SMALL), 0, demonstrations)
    alone = Npg(TASK.spaces, SMALL, 1)
    alone.load_state_dict(learner.state_dict())
    batch = episodes_of(
        TASK, alone.policy(), np.random.default_rng(1), lambda a: -np.abs(a).sum(-1)
    )
    for one in (learner, alone):
        one.update(batch)
    x = batch[0].trajectory.observations
    np.testing.assert_array_equal(learner.policy().act(x), alone.policy().act(x))


def test_the_demonstrations_become_more_likely(demonstrations, episodes_of):
    """If all own steps are equally good, the step is towards the demonstrations."""
    config = DapgConfig(npg=replace(SMALL, kl=1e-4))
    learner = Dapg(TASK.spaces, config, 0, demonstrations)
    observations, actions = learner._observations, learner._actions
    before = float(learner.npg.net.log_prob(observations, actions).detach().mean())
    batch = episodes_of(TASK, learner.policy(), np.random.default_rng(1), lambda a: 0 * a.sum(-1))
    learner.npg.update_policy(
        torch.from_numpy(np.concatenate([e.trajectory.observations[:-1] for e in batch])),
        torch.from_numpy(np.concatenate([e.trajectory.actions for e in batch])),
        torch.zeros(sum(e.steps for e in batch), dtype=torch.float64),
        learner.augmentation,
    )
    assert float(learner.npg.net.log_prob(observations, actions).detach().mean()) > before


def test_cloning_falls_on_one_batch_and_recovers_a_linear_policy(demonstrations):
    config = CloningConfig(epochs=300, batch=1000, rate=1e-2, units=True, jitter=0.0)
    net = PolicyNet(TASK.spaces, (), 0.0)
    cloning = Cloning(net, demonstrations, config, 0)
    losses = [float(cloning.loss().detach())]
    while not cloning.finished:
        losses.append(cloning.epoch()["cloning_loss"])
    assert all(np.diff(losses[:50]) < 0)
    assert losses[-1] < 1e-6 * losses[0]
    unseen = np.random.default_rng(7).normal(size=(5, TASK.observation_size))
    gain = np.random.default_rng(0).normal(size=(TASK.observation_size, TASK.hand.n)) / 5
    np.testing.assert_allclose(net.to_numpy(0).act(unseen), unseen @ gain + 0.3, atol=1e-2)


def test_jitter_is_ridge_regression_where_the_network_is_linear(demonstrations):
    """With noise of standard deviation j on each column, in that of the column, the best linear map
    is (C + j^2 diag C)^-1 C gain, C the covariance (Bishop 1995)."""
    jitter = 1.0
    config = CloningConfig(epochs=600, batch=1000, rate=1e-2, units=True, jitter=jitter)
    net = PolicyNet(TASK.spaces, (), 0.0)
    cloning = Cloning(net, demonstrations, config, 0)
    while not cloning.finished:
        cloning.epoch()
    observations = np.concatenate([e.trajectory.observations[:-1] for e in demonstrations])
    covariance = np.cov(observations.T)
    gain = np.random.default_rng(0).normal(size=(TASK.observation_size, TASK.hand.n)) / 5
    ridge = covariance + jitter**2 * np.diag(np.diag(covariance))
    expected = np.linalg.solve(ridge, covariance @ gain)
    eye = np.eye(TASK.observation_size)
    act = net.to_numpy(0).act
    np.testing.assert_allclose(act(eye) - act(0 * eye), expected, atol=0.06)
    assert np.abs(expected - gain).max() > 0.2


def test_cloning_speaks_in_the_units_of_the_demonstrations(demonstrations):
    """Before the first epoch the mean action is theirs, but for the small last layer."""
    net = PolicyNet(TASK.spaces, (8,), 0.0)
    Cloning(net, demonstrations, CloningConfig(units=True, noise=0.5), 0)
    actions = np.concatenate([e.trajectory.actions for e in demonstrations])
    mean = net.to_numpy(0).act(np.zeros((1, TASK.observation_size)))[0]
    np.testing.assert_allclose(mean, actions.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(net.log_std.detach().exp(), 0.5 * actions.std(axis=0))


def test_a_number_that_never_changes_is_left_in_its_unit():
    data = np.array([[1.0, 7.0], [3.0, 7.0]])
    np.testing.assert_allclose(spread(data), [1.0, 1.0])
    np.testing.assert_allclose(spread(10 * data), [10.0, 1.0])


def test_a_resumed_cloning_is_uninterrupted(demonstrations):
    config = BcConfig(hidden=(6,), cloning=CloningConfig(epochs=4, jitter=0.1))
    one, two = (Bc(TASK.spaces, config, 5, demonstrations) for _ in range(2))
    while not one.finished:
        one.update([])
    two.update([])
    three = Bc(TASK.spaces, config, 99, demonstrations)
    three.load_state_dict({k: v.clone() for k, v in two.state_dict().items()})
    while not three.finished:
        three.update([])
    x = demonstrations[0].trajectory.observations
    np.testing.assert_array_equal(one.policy().act(x), three.policy().act(x))
    assert one.policy().version == three.policy().version == config.cloning.epochs


def test_a_resumed_dapg_is_uninterrupted(demonstrations, episodes_of):
    config, rng = DapgConfig(npg=SMALL), np.random.default_rng(0)
    one, two = (Dapg(TASK.spaces, config, 5, demonstrations) for _ in range(2))
    batches = []
    for _ in range(4):
        batches.append(episodes_of(TASK, one.policy(), rng, lambda a: -np.abs(a).sum(-1)))
        one.update(batches[-1])
    for batch in batches[:2]:
        two.update(batch)
    three = Dapg(TASK.spaces, config, 99, demonstrations)
    three.load_state_dict({k: v.clone() for k, v in two.state_dict().items()})
    metrics = [three.update(batch) for batch in batches[2:]]
    x = batches[0][0].trajectory.observations
    np.testing.assert_array_equal(one.policy().act(x), three.policy().act(x))
    assert metrics[-1]["demonstration_weight"] == pytest.approx(0.1 * 0.95**3)


def test_at_first_only_the_baseline_learns(demonstrations, episodes_of):
    """The cloned policy stays to the last bit; its version counts on."""
    config = DapgConfig(watched=2, npg=SMALL)
    learner = Dapg(TASK.spaces, config, 0, demonstrations)
    cloned, rng = learner.policy(), np.random.default_rng(0)
    x = demonstrations[0].trajectory.observations
    explained = []
    for k in range(3):
        batch = episodes_of(TASK, learner.policy(), rng, lambda a: a.sum(-1))
        explained.append(learner.update(batch)["value_explained"])
        same = np.array_equal(learner.policy().act(x), cloned.act(x))
        assert same == (k < 2) and learner.policy().version == k + 1
    assert explained[2] > explained[0]


def test_demonstrations_that_cannot_be_learned_from_are_refused(demonstrations):
    broken = with_trajectory(demonstrations[0], actions=demonstrations[0].trajectory.actions[:, :4])
    lost = demonstrations[0].trajectory.observations.copy()
    lost[3, 2] = np.nan
    for bad, message in (
        ([], "no demonstrations .* --demos"),
        ([demonstrations[1], broken], r"demonstration 2 of 2 has actions of shape \(12, 4\)"),
        (
            [with_trajectory(demonstrations[0], observations=lost)],
            "observations that are not finite",
        ),
    ):
        with pytest.raises(BadDemonstrations, match=message):
            make_algorithm("bc", TASK.spaces, BcConfig(), 0, bad)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(BadConfig, match="lambda1"):
        DapgConfig(lambda1=1.5)
    with pytest.raises(BadConfig, match="epochs is 0; it must be greater"):
        CloningConfig(epochs=0)
    with pytest.raises(BadConfig, match="jitter"):
        CloningConfig(jitter=-0.1)
