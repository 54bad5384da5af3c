"""Checked dataclasses refuse wrong values, however they are made."""

from dataclasses import field, replace

import pytest

from handlab_core.errors import BadConfig, BadRun
from handlab_core.system.validation import (
    Count,
    Flag,
    Fraction,
    Index,
    Positive,
    Seed,
    Text,
    build,
    checked,
)


@checked
class Inner:
    """A part of another."""

    rate: Positive = 1.0
    widths: tuple[Count, ...] = (3,)


@checked
class Outer:
    """Every kind of field."""

    seed: Seed
    share: Fraction = 0.5
    name: Text = "x"
    on: Flag = False
    first: Index = 0
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        if self.name == "no":
            raise BadConfig("name cannot be no")


WRONG = [
    ({"seed": -1}, "seed is -1; it must be greater than or equal to 0"),
    ({"seed": 2**31}, "seed is 2147483648; it must be less than"),
    ({"seed": 10**5000}, "seed is a very long int"),
    ({"seed": True}, "seed is True; it must be a whole number"),
    ({"seed": 1.0}, "it must be a whole number"),
    ({"seed": "1"}, "it must be a whole number"),
    ({"seed": None}, "it must be a whole number"),
    ({"share": float("nan")}, "share is nan; it must be"),
    ({"share": float("inf")}, "share is inf; it must be"),
    ({"share": 7}, "share is 7; it must be less than or equal to 1"),
    ({"share": True}, "it must be a number"),
    ({"name": "a\0b"}, "without control characters"),
    ({"name": "a" * 5000}, "at most 4000 characters"),
    ({"name": 3}, "name is 3; it must be text"),
    ({"name": b"x"}, "it must be text"),
    ({"name": "no"}, "name cannot be no"),
    ({"on": 1}, "it must be true or false"),
    ({"colour": 1}, "unknown key colour; there is: seed, share"),
    ({"inner": 3}, "inner is 3; it must be keys and values"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_a_wrong_value_is_refused_by_name_value_and_rule(wrong, words):
    good = Outer(1)
    for make in (
        lambda: Outer(**{"seed": 1, **wrong}),
        lambda: replace(good, **wrong) if "colour" not in wrong else Outer(1, **wrong),
        lambda: build(Outer, {"seed": 1, **wrong}),
    ):
        with pytest.raises(BadConfig) as refusal:
            make()
        assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_wrong_part_is_named_by_its_way_and_all_are_named_at_once():
    given = {"share": 2, "inner": {"rate": 0, "widths": [4, 0], "x": 1}}
    with pytest.raises(BadRun) as refusal:
        build(Outer, given, "a.yaml", BadRun)
    text = str(refusal.value)
    assert text.startswith("a.yaml: seed is missing; share is 2; ")
    for words in ("inner.rate is 0", "inner.widths.1 is 0", "unknown key inner.x; there is: rate"):
        assert words in text


@pytest.mark.parametrize("given", [None, 3, [1], "x", {1: 2}])
def test_plain_data_of_another_form_is_refused(given):
    with pytest.raises(BadConfig, match=r"keys and values|unknown key 1"):
        build(Outer, given)


def test_lists_become_tuples_and_whole_numbers_floats():
    made = build(Outer, {"seed": 1, "share": 1, "inner": {"widths": [4, 5]}})
    assert made == Outer(1, 1.0, inner=Inner(widths=(4, 5)))
    assert isinstance(made.share, float)


def test_positional_arguments_are_named_in_the_refusal():
    with pytest.raises(BadConfig, match="share is 3"):
        Outer(1, 3)
