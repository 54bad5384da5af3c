"""One number that nothing can be learned from costs its episode; many end the run and say where."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from handlab_core.errors import BadDemonstrations, StationFault
from handlab_core.tasks import make_task
from handlab_learning.algorithms.demonstrations import check_demonstrations
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import summarize
from handlab_learning.runs.soundness import IN_A_ROW, PARTS, Sieve, defect
from handlab_learning.runs.trainer import Trainer

TASK = make_task("valve")
TERMS = [term.name for term in TASK.rewards[TASK.reward]]
SETTINGS = {"hidden": [6], "episodes_per_iteration": 6, "baseline.hidden": [8]}


class Sampler:
    """Gives sound episodes but for those whose iterations are named."""

    def __init__(self, episodes_of, spoil, spoilt):
        self.episodes_of, self.spoil, self.spoilt, self.iteration = episodes_of, spoil, spoilt, 0

    def sample(self, policy, plan):
        rng = np.random.default_rng((plan.seed, plan.numbers[0]))
        made = self.episodes_of(
            TASK, policy, rng, lambda a: -(a**2).sum(-1), count=len(plan.numbers)
        )
        if plan.deterministic:
            return made
        self.iteration += 1
        count = self.spoilt.get(self.iteration, 0)
        return [self.spoil(e) if i < count else e for i, e in enumerate(made)]


def with_trajectory(episode, **arrays):
    return replace(episode, trajectory=replace(episode.trajectory, **arrays))


def spoil(part, value, place=(3, 1)):
    def spoilt(episode):
        array = episode.arrays[part].copy()
        array[place[: array.ndim]] = value
        return with_trajectory(episode, **{part: array})

    return spoilt


def run(tmp_path, episodes_of, spoilt, how=None):
    config = RunConfig(
        max_hours=0.1, evaluate_every=1, evaluation_episodes=4, until="hours", settings=SETTINGS
    )
    folder, rows = RunFolder.create(tmp_path, config, datetime(2026, 1, 2)), []
    sampler = Sampler(episodes_of, how or spoil("rewards", np.nan), spoilt)
    summary = Trainer(config, sampler, rows.append).run(folder)
    return summary, [row for row in rows if row["iteration"]]  # without the first evaluation


@pytest.fixture
def episode(episodes_of):
    from handlab_learning.algorithms import make_algorithm

    config = RunConfig(settings=SETTINGS)
    learner = make_algorithm("npg", TASK.spaces, config.algorithm_config(), 0, ())
    rng = np.random.default_rng(0)
    [made] = episodes_of(TASK, learner.policy(), rng, lambda a: -(a**2).sum(-1), count=1)
    made = replace(made, key=replace(made.key, number=17))
    return with_trajectory(made, reward_terms=np.zeros((made.steps, len(TERMS))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e12])
@pytest.mark.parametrize("part", ["observations", "actions", "rewards", "reward_terms", "errors"])
def test_a_defect_is_named_by_episode_step_and_term(episode, part, value):
    assert defect(episode, TERMS) == ""
    reason = defect(spoil(part, value)(episode), TERMS)
    assert reason.startswith("episode 17, step 3: ") and reason.endswith(f" is {value:g}")
    if part == "reward_terms":
        assert TERMS[1] in reason


def test_every_array_that_is_learned_from_is_looked_at(episode):
    for part in PARTS:
        assert defect(spoil(part, np.nan, (0, 0))(episode))
    assert not defect(replace(episode, temperatures=np.full(TASK.hand.n, np.nan)))


@pytest.mark.parametrize("part", ["rewards", "observations"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_one_bad_number_costs_one_episode_and_learning_goes_on(
    tmp_path, episodes_of, caplog, part, value
):
    _, rows = run(tmp_path, episodes_of, {2: 1}, spoil(part, value))
    assert [row.get("episodes_left_out") for row in rows] == [0, 1] + [0] * (len(rows) - 2)
    assert "step 3" in rows[1]["left_out"][0] and "left out of learning" in caplog.text
    for row in rows:
        assert all(np.isfinite(value) for value in row["learner"].values()), row
        assert row["learner"]["step_accepted"] == 1.0
    hours = [row["robot_hours"] for row in rows]
    np.testing.assert_allclose(np.diff(hours), hours[0])  # the robot spent that time all the same


@pytest.mark.parametrize("spoilt", [{2: 4}, {k: 1 for k in range(2, 2 + IN_A_ROW)}])
def test_what_repeats_stops_the_run_with_episode_and_step(tmp_path, episodes_of, spoilt):
    with pytest.raises(StationFault, match=r"episode \d+, step 3: the reward is nan; .*--resume"):
        run(tmp_path, episodes_of, spoilt)


def test_now_and_then_is_no_repetition(tmp_path, episodes_of):
    _, rows = run(tmp_path, episodes_of, {1: 1, 3: 1, 5: 1})
    assert sum(row["episodes_left_out"] for row in rows) >= 2


def test_a_sieve_of_nothing_passes_nothing():
    assert Sieve().sift([]) == ([], [])


@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_a_demonstration_with_such_a_number_is_refused_by_its_place(episode, value):
    check_demonstrations([episode], TASK.spaces)
    with pytest.raises(BadDemonstrations, match=r"demonstration 2 of 2.*leave it out"):
        check_demonstrations([episode, spoil("observations", value)(episode)], TASK.spaces)


@pytest.mark.parametrize("part", ["rewards", "errors"])
def test_an_evaluation_leaves_such_an_episode_out_of_its_means_by_name(episode, caplog, part):
    """A NaN would decide which policy is handed out."""
    other = replace(episode, key=replace(episode.key, number=3))
    spoilt = spoil(part, np.nan, (-1, 1))(episode)
    verdict = summarize([other, spoilt, other])
    assert verdict["mean_return"] == summarize([other])["mean_return"]
    assert np.isfinite(verdict["mean_final_error"]) and verdict["episodes"] == 3
    assert f"episode {episode.number}, step {episode.steps - 1}" in caplog.text
    with pytest.raises(StationFault, match=f"episode {episode.number}, step"):
        summarize([spoilt])
