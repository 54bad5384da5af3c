"""Variations: their text form, values and limits."""

import numpy as np
import pytest

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import (
    QUANTITIES,
    ObjectVariation,
    Variation,
    draw_all,
    object_of,
    of_world,
    parse_variation,
    parse_variations,
    vary_task,
)
from handlab_core.worlds.world import world_of


def test_random_streams_are_never_shared():
    streams = [known.stream for known in QUANTITIES.values()]
    assert len(set(streams)) == len(streams)
    assert [n for n, known in sorted(QUANTITIES.items()) if known.stream < 9] == [
        n for n, _ in sorted(QUANTITIES.items(), key=lambda item: item[1].stream)[:9]
    ]


def test_the_three_forms():
    assert parse_variation("object.mass=2") == Variation("object.mass", (2.0,))
    assert parse_variation("object.scale=0.8:1.2") == Variation("object.scale", (0.8, 1.2), True)
    assert parse_variation("object.lobes=2,3,4") == Variation("object.lobes", (2.0, 3.0, 4.0))


@pytest.mark.parametrize("text", ["object.colour=1", "scale=1", "=1", ""])
def test_an_unknown_name_is_answered_by_what_there_is(text):
    with pytest.raises(UnknownName, match=", ".join(sorted(QUANTITIES))):
        parse_variation(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("object.scale", "must be object.scale=VALUE"),
        ("object.scale=", "must be object.scale=VALUE"),
        ("object.scale=big", "LOWER:UPPER"),
        ("object.scale=nan", "LOWER:UPPER"),
        ("object.scale=1:2:3", "LOWER:UPPER"),
        ("object.scale=1,2:3", "LOWER:UPPER"),
        ("object.scale=0", "can be 0.25 to 4"),
        ("object.scale=1:9", "can be 0.25 to 4"),
        ("object.mass=-1", "can be 0.01 to 100"),
        ("object.lobes=2.5", "whole numbers"),
        ("object.lobes=1", "can be 2 to 8"),
        ("goal.angle=2:1", "begins at its lower end"),
    ],
)
def test_an_impossible_variation_is_rejected_with_the_possible_ones(text, message):
    with pytest.raises(BadConfig, match=message):
        parse_variation(text)


def test_one_thing_is_not_varied_twice():
    with pytest.raises(BadConfig, match=r"object\.mass is varied twice"):
        parse_variations(["object.mass=1", "object.scale=1", "object.mass=2"])


def test_points_of_a_range_have_its_ends_and_whole_numbers_are_all():
    np.testing.assert_allclose(parse_variation("object.scale=0.8:1.2").points(3), (0.8, 1.0, 1.2))
    assert parse_variation("object.lobes=2:5").points(2) == (2.0, 3.0, 4.0, 5.0)
    assert parse_variation("object.mass=3,1").points(9) == (3.0, 1.0)


def test_draws_depend_on_seed_and_episode_only_and_keep_within():
    scale, lobes = parse_variations(["object.scale=0.8:1.2", "object.lobes=2,4"])
    rows = [draw_all([scale, lobes], 3, i) for i in range(200)]
    assert rows == [draw_all([scale, lobes], 3, i) for i in range(200)]
    assert draw_all([scale], 4, 0)["object.scale"] != rows[0]["object.scale"]
    drawn = np.array([row["object.scale"] for row in rows])
    assert drawn.min() >= 0.8 and drawn.max() <= 1.2 and abs(drawn.mean() - 1.0) < 0.03
    assert {row["object.lobes"] for row in rows} == {2.0, 4.0}
    assert [draw_all([lobes, scale], 3, i) for i in range(9)] == rows[:9]
    alone = [draw_all([scale], 3, i)["object.scale"] for i in range(9)]
    assert alone == [row["object.scale"] for row in rows[:9]]


def test_an_object_takes_the_values_of_its_names():
    assert object_of({"object.mass": 2.0, "goal.angle": 1.0}) == ObjectVariation(mass=2.0)
    assert object_of({"object.lobes": 4.0}).lobes == 4
    assert object_of({}) == ObjectVariation()


def test_every_quantity_is_of_the_world_or_a_range_of_the_task():
    task = make_task("valve")
    for name, known in QUANTITIES.items():
        lower, upper = (round(x) if known.whole else x for x in (known.lower, known.upper))
        variation = Variation(name, (lower, upper), span=True)
        if of_world([variation]):
            plain, varied = (
                repr(world_of(values, task.hand.servos, 0, 0)) for values in ({}, {name: upper})
            )
            assert plain != varied, name
            assert vary_task(task, [variation]) == task
        else:
            span = getattr(vary_task(task, [variation]), name.replace(".", "_"))
            assert (span.lower, span.upper) == (lower, upper)


def test_start_and_goal_follow_their_variation_and_nothing_else_changes():
    task = make_task("valve")
    varied = vary_task(task, parse_variations(["goal.angle=1:2", "start.angle=-0.5"]))
    starts = [varied.start(0, i) for i in range(50)]
    assert all(s.object_angle == -0.5 and 1 <= s.goal_angle[0] <= 2 for s in starts)
    assert len({s.goal_angle for s in starts}) == 50
    assert {s.goal_velocity for s in starts} == {task.start(0, 0).goal_velocity}
    with pytest.raises(BadConfig, match="one value or a range"):
        vary_task(task, [parse_variation("goal.angle=1,2")])
