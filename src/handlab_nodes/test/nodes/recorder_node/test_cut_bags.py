"""A recording that was cut, or is of something else."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadDemonstrations
from handlab_core.tasks import make_task
from handlab_data.demonstration_reader import read_demonstrations

TASK = make_task("valve")


def test_a_bag_of_something_else_is_refused_with_the_difference(recorded):
    bag, _ = recorded
    with pytest.raises(BadDemonstrations, match=r"its task is valve, not flip.*object is valve"):
        read_demonstrations(bag, make_task("flip"))
    with pytest.raises(BadDemonstrations, match="its hand is claw, not allegro"):
        read_demonstrations(bag, make_task("allegro_valve"))
    with pytest.raises(BadDemonstrations, match=r"its control period is 0\.1 s, not 0\.05 s"):
        read_demonstrations(bag, replace(TASK, period=0.05))
    with pytest.raises(BadDemonstrations, match="its calibration is none, not measured"):
        read_demonstrations(bag, TASK, calibration="measured: FFJ10 3.14")
    with pytest.raises(BadDemonstrations, match="does not exist"):
        read_demonstrations(bag.parent / "nothing", TASK)


def test_of_a_bag_that_was_cut_the_whole_episodes_are_used(recorded, tmp_path, caplog, assert_same):
    bag, live = recorded
    whole = next(bag.glob("*.mcap")).read_bytes()
    cut = tmp_path / "cut.mcap"
    counts = []
    for part in np.linspace(0.3, 0.95, 8):
        cut.write_bytes(whole[: int(part * len(whole))])
        try:
            read = read_demonstrations(cut, TASK)
        except BadDemonstrations as error:
            assert "was cut off" in str(error) or "no demonstration" in str(error)
            read = []
        counts.append(len(read))
        for one, other in zip(read, live, strict=False):
            assert_same(one, other)
    assert counts == sorted(counts) and {1, 2} & set(counts)
    assert f"its {counts[-1]} whole episodes are used" in caplog.text


def test_a_bag_may_be_cut_at_any_byte(recorded, tmp_path):
    """Within a record's head, one byte of its kind and eight of its length, and behind it."""
    bag, _ = recorded
    whole = next(bag.glob("*.mcap")).read_bytes()
    cut, late = tmp_path / "cut.mcap", len(whole) * 9 // 10
    head = following = len(b"\x89MCAP0\r\n")
    while following < late:
        head = following
        following += 9 + int.from_bytes(whole[head + 1 : head + 9], "little")
    for i in range(12):
        cut.write_bytes(whole[: head + i])
        assert 1 <= len(read_demonstrations(cut, TASK)) < 3
