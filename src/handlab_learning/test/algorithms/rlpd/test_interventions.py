"""Steps of an intervener are in both memories, in the log, in the metrics and in the report."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.replay_log import ReplayLog
from handlab_learning.runs.trainer import _sampled

SMALL = {
    "hidden": [8], "batch": 8, "first_episodes": 1, "update_ratio": 0.5, "symmetries": False,
    "own_demonstrations": 0, "own_successes": False,
}  # fmt: skip


@pytest.fixture
def helped(episodes_of, squashed):
    """An episode of the valve in which every third step is an intervener's."""
    rng = np.random.default_rng(0)
    [episode] = episodes_of(
        make_task("valve"), squashed, rng, lambda action: -np.square(action).sum(-1), count=1
    )
    taken = (np.arange(episode.steps) % 3 == 0).astype(float)
    return replace(episode, interventions=taken)


def learner():
    config = RunConfig(algorithm="rlpd", backend="sim", settings=SMALL)
    task = config.make_task()
    return make_algorithm("rlpd", task.spaces, config.algorithm_config(), 0)


def test_intervened_steps_are_in_the_run_and_in_the_demonstrations(helped):
    algorithm = learner()
    algorithm.update([helped, replace(helped, interventions=np.zeros(0))])
    given = int(helped.interventions.sum())
    assert (
        len(algorithm.replay) == 2 * helped.steps
        and len(algorithm.imitation.demonstrations) == given
    )
    rows = algorithm.imitation.demonstrations._rows[:given]
    actions = algorithm.imitation.demonstrations.batch(rows).action.numpy()
    expected = np.clip(helped.trajectory.actions[helped.interventions > 0], -1, 1)
    np.testing.assert_allclose(actions, expected, rtol=1e-6)
    assert algorithm.update_meanwhile()["updates"] > 0


def test_a_resumed_learner_has_the_interventions_of_the_log(helped, tmp_path):
    log = ReplayLog(tmp_path)
    log.append([helped])
    [read] = log.read()
    np.testing.assert_array_equal(read.interventions, helped.interventions)
    algorithm = learner()
    algorithm.recall([read])
    assert len(algorithm.imitation.demonstrations) == int(helped.interventions.sum())


def test_the_rate_of_interventions_is_in_the_metrics(helped):
    assert _sampled([helped], [])["intervention_rate"] == pytest.approx(helped.interventions.mean())
    assert "intervention_rate" not in _sampled([replace(helped, interventions=np.zeros(0))], [])


@pytest.mark.parametrize(
    "wrong", [{"algorithm": "npg"}, {"task": "adroit_door"}, {"vary": ["object.mass=1:2"]}]
)
def test_interventions_that_cannot_be_are_refused(wrong):
    config = {"algorithm": "rlpd", "backend": "sim", "interventions": "teacher"}
    RunConfig(**config)
    with pytest.raises(BadConfig, match="leave"):
        RunConfig(**(config | wrong))


def test_a_person_intervenes_through_the_graph_only():
    config = {"algorithm": "rlpd", "interventions": "person"}
    RunConfig(**config)
    RunConfig(**config, hardware="dynamixel")
    with pytest.raises(BadConfig, match="add --backend graph"):
        RunConfig(**config, backend="sim")
