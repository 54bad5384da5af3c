"""The interval of the remaining time covers as often as it says, on curves that are made."""

from math import inf

import numpy as np
import pytest

from handlab_learning.runs.time_to_success import EarlierRun, duration, estimate, remaining, text

STEP, STREAK = 0.05, 3


def made_run(rng, ends=6.0):
    """A run whose success rises around a time of its own; some never succeed."""
    middle = rng.lognormal(0.0, 0.5) if rng.random() < 0.9 else inf
    hours = np.arange(1, round(ends / STEP) + 1) * STEP * rng.uniform(0.9, 1.1)
    chance = 1 / (1 + np.exp(-(hours - middle) / rng.uniform(0.05, 0.3)))
    rates = rng.binomial(20, np.clip(chance, 0.0, 0.98)) / 20
    good = rates >= 0.9
    first = next((i for i in range(len(good)) if good[i : i + STREAK].sum() == STREAK), None)
    reached = None if first is None else float(hours[first])
    last = len(hours) if first is None else first + STREAK
    curve = tuple(zip(hours[:last].tolist(), rates[:last].tolist(), strict=True))
    return EarlierRun(reached, curve[-1][0], curve, STREAK)


@pytest.mark.parametrize("count", [3, 5, 19])
def test_the_interval_covers_as_often_as_it_says(count):
    """At a moment of the run that does not depend on the earlier runs."""
    rng = np.random.default_rng(count)
    inside, nominal = [], []
    for _ in range(800):
        earlier, run = [made_run(rng) for _ in range(count)], made_run(rng)
        moment = rng.uniform(0.1, 2.0)
        now = tuple(point for point in run.curve if point[0] <= moment)
        if run.known <= moment or (found := estimate(earlier, now)) is None:
            continue
        left = inf if run.reached is None else max(0.0, run.reached - now[-1][0])
        inside.append(found.low - 1e-9 <= left <= found.high + 1e-9)
        nominal.append(found.coverage)
    assert len(inside) > 300
    error = np.std(inside) / np.sqrt(len(inside))
    assert np.mean(inside) > np.mean(nominal) - 0.02 - 2 * error
    assert np.mean(inside) < np.mean(nominal) + 0.08 + 2 * error  # runs that never succeed are tied


def test_the_curve_so_far_narrows_the_estimate():
    """A run that has begun to succeed has less to go than one of the same age that has not."""
    rng = np.random.default_rng(0)
    earlier = [made_run(rng) for _ in range(60)]
    ages = [(h * STEP, 0.0) for h in range(1, 17)]
    rising = tuple((*ages[:13], (0.7, 0.4), (0.75, 0.6), (0.8, 0.7)))
    assert estimate(earlier, rising).middle < 0.7 * estimate(earlier, tuple(ages)).middle
    assert estimate(earlier, rising).high < inf


def test_only_runs_that_had_not_succeeded_by_now_count():
    runs = [EarlierRun(hours, hours) for hours in (0.2, 0.5, 1.0)] + [EarlierRun(None, 2.0)]
    assert remaining(runs, ((0.4, 0.0),)) == pytest.approx([0.1, 0.6, inf])
    assert remaining(runs, ()) == pytest.approx([0.2, 0.5, 1.0, inf])
    assert remaining(runs, ((3.0, 0.0),)) == []


def test_success_that_began_but_is_not_proven_yet_leaves_no_time():
    curve = ((0.1, 0.0), (0.2, 1.0), (0.3, 1.0), (0.4, 1.0))
    run = EarlierRun(0.2, 0.4, curve, streak=3)
    assert run.known == 0.4
    assert remaining([run], ((0.3, 0.5),)) == [0.0]


def test_words_say_what_the_estimate_rests_on():
    runs = [EarlierRun(hours, hours) for hours in (0.2, 0.5, 3.0)]
    assert text(None, 0).startswith("unknown yet")
    assert "3 earlier runs" in text(None, 3)
    said = text(estimate(runs, ()), 3)
    assert said == "12 min to 3.0 h more, median 30 min (50% interval, 3 earlier runs)"
    assert text(estimate(runs[:1], ()), 1) == "about 12 min, like 1 earlier run"
    never = estimate([*runs, EarlierRun(None, 9.0)], ())
    assert "to never" in text(never, 4) and duration(inf) == "never"
