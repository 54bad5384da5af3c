"""Words that plain English avoids are rare, and the checker finds them."""

import importlib.util
import sys

import pytest

from handlab_core.system.paths import share


@pytest.fixture(scope="module")
def words():
    """The module tools/check_words.py."""
    spec = importlib.util.spec_from_file_location("check_words", share() / "tools/check_words.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_words"] = module
    spec.loader.exec_module(module)
    return module


def test_words_that_plain_english_avoids_are_rare(words):
    found = words.rates(share())
    assert not {w: r for w, r in found.items() if r > words.LIMIT}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The node shall wait.", "shall"),
        ("A driver is told the limit.", "tell"),
        ("Start anew.", "anew"),
        ("Somebody listens.", "somebody"),
        ("After so many steps.", "so many"),
        ("Return what was sent.", "what is"),
        ("Of a span its two ends.", "headless docstring"),
        ("How long a step takes.", "headless docstring"),
        ("Return the span.", None),
        ("See `demonstration/tell`.", None),
        ("Return the span. What is a span?", None),
    ],
)
def test_the_checker_of_words_finds_them(words, text, word):
    _, uses = words.count([words.Text("", 1, text, docstring=True)])
    assert {use.word for use in uses} == ({word} if word else set())
