"""Levels of randomisation: within the bounds of their quantities, nested, and sourced."""

import pytest

from handlab_core.errors import UnknownName
from handlab_core.tasks import TASKS, make_task
from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.variation import parse_variation, parse_variations
from handlab_core.worlds.levels import LEVELS, NONE, ROWS, level_of, with_level


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_has_every_level(name):
    task = make_task(name)
    assert level_of(task, NONE) == ()
    sizes = [len(level_of(task, level)) for level in ("mild", "full")]
    assert 0 < sizes[0] <= sizes[1]


def test_a_quantity_that_an_object_lacks_is_left_out():
    def names(task):
        return {variation.name for variation in level_of(find_task(task), "full")}

    assert "object.stiffness" not in names("valve") and "object.stiffness" in names("valve_foam")
    assert not any(name.startswith("object.") for name in names("pose"))
    assert names("adroit_hammer") <= {"object.mass", "object.friction", "object.damping"}


def test_mild_is_within_full_and_every_row_has_a_source():
    for name, row in ROWS.items():
        assert row.source, name
        if row.mild and row.full:
            mild, full = (parse_variation(f"{name}={text}").values for text in (row.mild, row.full))
            assert max(mild) <= max(full), name
            assert len(full) == 1 or min(full) <= min(mild), name


def test_a_named_quantity_takes_precedence_over_its_level():
    [mine] = parse_variations(["servo.gain=7"])
    drawn = with_level(make_task("valve"), "mild", (mine,))
    assert [v for v in drawn if v.name == "servo.gain"] == [mine] and len(drawn) > 20


def test_an_unknown_level_is_answered_by_what_there_is():
    with pytest.raises(UnknownName, match=", ".join(sorted(LEVELS))):
        level_of(make_task("valve"), "wild")
