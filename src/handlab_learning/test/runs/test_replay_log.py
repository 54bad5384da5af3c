"""The log of training episodes loses nothing but a record that a crash has cut."""

import logging

import numpy as np
import pytest

from handlab_core.tasks import make_task
from handlab_learning.runs.replay_log import HEAD, ReplayLog

TASK = make_task("valve")


@pytest.fixture
def episodes(episodes_of, squashed):
    rng = np.random.default_rng(0)
    return episodes_of(TASK, squashed, rng, lambda a: a.sum(-1), count=4, steps=3)


@pytest.fixture
def written(tmp_path, episodes):
    replay = ReplayLog(tmp_path / "replay")
    for episode in episodes:
        replay.append([episode])
    return replay


def same(one, two):
    assert (one.key, one.outcome, one.time) == (two.key, two.outcome, two.time)
    assert list(one.arrays) == list(two.arrays)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name], strict=True)


def test_episodes_come_back_bit_for_bit(written, episodes):
    for before, after in zip(episodes, written.read(), strict=True):
        same(before, after)


def test_a_log_that_was_never_written_is_empty(tmp_path):
    assert ReplayLog(tmp_path / "nowhere").read() == []


def test_a_torn_last_record_is_dropped_wherever_it_was_torn(written, episodes, caplog):
    whole = written.path.read_bytes()
    size = len(whole) // 4
    rng = np.random.default_rng(0)
    for left in (1, HEAD.size - 1, HEAD.size, size - 1, *rng.integers(1, size, 20).tolist()):
        written.path.write_bytes(whole[: 3 * size + left])
        caplog.clear()
        assert [e.number for e in written.read()] == [0, 1, 2]
        assert f"ends with {left} bytes of an unfinished episode" in caplog.text
        assert written.path.read_bytes() == whole[: 3 * size]
        written.append(episodes[3:])
        assert [e.number for e in written.read()] == [0, 1, 2, 3]


def test_a_damaged_record_costs_no_other(written, caplog):
    """A flipped byte anywhere: in the mark, the size, the checksum or the body."""
    whole = written.path.read_bytes()
    size = len(whole) // 4
    rng = np.random.default_rng(1)
    for place in (0, 9, 17, HEAD.size, *rng.integers(0, size, 30).tolist()):
        damaged = bytearray(whole)
        damaged[size + place] ^= 0x55
        written.path.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert [e.number for e in written.read()] == [0, 2, 3]
            assert "damaged" in caplog.text
        assert written.path.read_bytes() == damaged  # what may be restored by hand stays


def test_a_log_of_anything_else_holds_no_episode(written):
    written.path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert written.read() == []
