"""Wall times of both learners are compared by their medians."""

import numpy as np
import pytest

from handlab.benches.learning import wall
from handlab.benches.learning.wall import Judge, WallOptions


def test_medians_are_compared(monkeypatch):
    ours = iter([10.0, 30.0, 20.0])
    theirs = {"defaults": iter([200.0, 300.0, 300.0]), "ours": iter([40.0, 50.0, 60.0])}
    monkeypatch.setattr(wall, "_learn", lambda seed, options: {"wall_s": next(ours)})
    monkeypatch.setattr(
        wall, "_learn_beside", lambda name, seed, options: {"wall_s": next(theirs[name])}
    )
    result = wall.measure(0, WallOptions(seeds=3))
    assert result.value == 20.0 and result.ratio == pytest.approx(1 / 3)
    assert result.details["times_faster"] == {"defaults": 15.0, "ours": 2.5}
    assert "20 s** (10 s, 30 s, 20 s)" in wall.wall_text(result.plain())


class Unmoved:
    """Model and normalisation of stable-baselines3 that do nothing."""

    action_space = np.zeros(9)

    def predict(self, observation, deterministic):
        return np.zeros((len(observation), 9)), None

    def normalize_obs(self, observation):
        return observation


def test_the_other_learner_is_evaluated_after_as_many_episodes_and_given_up_in_time():
    """Five iterations of 60 steps each; a hand that does nothing never succeeds."""
    options, seen = WallOptions(worlds=4, give_up=1000), []
    judge = Judge(0, options, 0.0, Unmoved())
    judge._began = float("inf")  # no time passes
    evaluate = judge._evaluate
    judge._evaluate = lambda model, iteration: seen.append((judge.calls, iteration))
    for _ in range(600):
        assert judge({"self": Unmoved()}, {})
    assert seen == [(300, 5), (600, 10)]
    evaluate(Unmoved(), 5)
    assert judge.streak.reached is None and judge.streak.length == 0
    judge._began = -1001.0 - options.give_up
    assert not judge({"self": Unmoved()}, {})
