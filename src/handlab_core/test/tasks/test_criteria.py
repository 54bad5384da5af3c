"""Criteria of success by hand."""

import numpy as np

from handlab_core.tasks import make_task
from handlab_core.tasks.criteria import LastFifth, MeanError, MeanOfLastFifth


def test_success_is_about_every_step_of_the_last_fifth():
    task = make_task("valve")
    errors = np.zeros(60)
    errors[:48] = 3.0
    assert task.succeeded(errors) == (True, True)
    errors[50] = task.success.tolerance * 1.01
    assert task.succeeded(errors) == (False, True)
    errors[48:] = 0.2
    assert task.succeeded(errors) == (True, False)


def test_criteria_by_hand():
    errors = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3, -0.1])
    assert LastFifth(0.3).met(errors) and not LastFifth(0.29).met(errors)
    assert MeanOfLastFifth(0.21).met(errors) and not MeanOfLastFifth(0.19).met(errors)
    assert MeanError(0.85).met(errors) and not MeanError(0.83).met(errors)
    assert str(LastFifth(np.deg2rad(20.0))) == "within 20° in the last fifth"
    assert str(MeanError(0.2)) == "mean error below 0.2 rad"
