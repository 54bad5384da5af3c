"""Begin and end of a demonstration."""

import numpy as np
import pytest

from handlab_core.demonstrations.segmentation import (
    DemonstrationSegmenter,
    OperatorCommand,
    Phase,
    SegmenterConfig,
)
from handlab_core.tasks import make_task

TASK = make_task("valve")


def seen(speeds, words=None, **config):
    """Return a segmenter after the speeds of a hand, ten per second."""
    segmenter, words = DemonstrationSegmenter(TASK, SegmenterConfig(**config)), words or {}
    for i, speed in enumerate(speeds):
        segmenter.update(round(0.1 * i, 9), np.array([0.0, -speed, speed / 2]), words.get(i))
    return segmenter


STILL, MOVING = [0.0] * 20, [1.0] * 30


def test_motion_begins_and_ends_a_demonstration():
    """It began with the last state that was still, and ended when it was still for `rest`."""
    segmenter = seen(STILL + MOVING + STILL)
    assert segmenter.phase is Phase.ENDED
    assert segmenter.began == pytest.approx(1.9)
    assert segmenter.ended == pytest.approx(5.0 + SegmenterConfig().rest)


def test_fingers_that_sink_when_they_are_let_go_begin_nothing():
    segmenter = seen([0.0, 1.0, 1.0, 0.5, 0.0, 0.0, *STILL])
    assert segmenter.phase is Phase.WAITING and np.isnan(segmenter.began)


def test_a_short_stop_ends_nothing():
    segmenter = seen(STILL + MOVING + [0.0] * 10 + MOVING)
    assert segmenter.phase is Phase.GUIDING


def test_a_person_may_tell_begin_and_end():
    segmenter = seen(STILL + STILL, {3: OperatorCommand.BEGIN, 25: OperatorCommand.END}, rest=60.0)
    assert (segmenter.began, segmenter.ended) == (pytest.approx(0.3), pytest.approx(2.5))


def test_somebody_who_left_ends_it():
    segmenter = seen(STILL + [1.0] * 100, longest=5.0)
    assert segmenter.ended - segmenter.began == pytest.approx(5.0)


def test_at_once_there_is_nothing_to_detect():
    segmenter = seen([0.0] * 70, at_once=True)
    assert (segmenter.began, segmenter.ended) == (0.0, pytest.approx(TASK.steps * TASK.period))
