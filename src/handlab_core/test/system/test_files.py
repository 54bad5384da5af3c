"""Readers refuse what they cannot read with one line, and YAML means what people expect."""

import os

import pytest

from handlab_core.errors import BadConfig, BadRun, HandlabError
from handlab_core.system.files import (
    MOST_YAML,
    dump_yaml,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)

BOMB = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n"

WRONG_YAML = {
    "unclosed": ("a: [1, 2", "line 1"),
    "a tab": ("a:\n\t- b", "line 2"),
    "a repeated key": ("a: 1\nb: 2\na: 3", "'a' comes twice (line 3"),
    "a repeated nested key": ("a: {b: 1, b: 2}", "'b' comes twice"),
    "aliases": (BOMB, "aliases are not allowed (line 2"),
    "an alias of itself": ("a: &a [*a]", "aliases are not allowed"),
    "deep nesting": ("[" * 20_000, "nested too deeply"),
    "many digits": (f"a: {'9' * 5000}", "cannot be read"),
    "an object of Python": ("!!python/object/apply:os.system ['true']", "not YAML that is read"),
    "a list": ("- 1", "must hold keys and values"),
    "nothing": ("", "must hold keys and values, not None"),
    "a key that is no text": ("1: 2", "keys must be text"),
    "a control character": ("a: \x00", "not YAML"),
    "two documents": ("a: 1\n---\nb: 2", "not YAML"),
    "a key that is a list": ("? [a]\n: 1", "not YAML"),
}


@pytest.mark.parametrize("name", WRONG_YAML)
def test_yaml_that_cannot_be_read_is_refused_with_one_line(tmp_path, name):
    text, words = WRONG_YAML[name]
    path = tmp_path / "given.yaml"
    path.write_text(text)
    with pytest.raises(BadConfig) as refusal:
        read_yaml(path)
    assert words in str(refusal.value) and str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_yaml_takes_numbers_dates_and_words_as_people_mean_them():
    text = "{a: 1e-3, b: 010, c: 2026-01-02, d: yes, e: true, f: 1:30, g: .5, h: ~, i: -2.5E+3}"
    assert parse_yaml(text, "it") == {
        "a": 1e-3, "b": 10, "c": "2026-01-02", "d": "yes", "e": True, "f": "1:30", "g": 0.5,
        "h": None, "i": -2500.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "value", ["1e5", "1e-3", "010", "yes", "2026-01-02", "1:30", "~", "", ".5", "a: b", "[", 1e-9]
)
def test_yaml_that_is_written_reads_back_the_same(value):
    assert parse_yaml(dump_yaml({"a": value}), "it") == {"a": value}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": 1, "a": 2}', "'a' comes twice"),
        (f'{{"a": {"9" * 5000}}}', "damaged"),
        ("[1]", "must hold keys and values"),
    ],
)
def test_json_that_cannot_be_read_is_refused_with_one_line(tmp_path, text, words):
    path = tmp_path / "given.json"
    path.write_text(text)
    with pytest.raises(BadRun) as refusal:
        read_json(path, BadRun)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_value_of_thousands_of_digits_is_json_that_is_damaged():
    with pytest.raises(HandlabError, match="damaged"):
        parse_json("9" * 5000, "it")


def places(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"a: \xe4")
    (tmp_path / "large").write_bytes(b"#" * (MOST_YAML + 1))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    return {
        "folder": "it is a folder",
        "latin": "not UTF-8 text: byte 4",
        "large": "more than",
        "pipe": "not a regular file",
        "loop": "symbolic link",
        "missing": "No such file",
        "latin/below": "Not a directory",
        "x" * 300: "name too long",
        "a\0b": "null",
    }


def test_a_place_that_is_no_readable_file_is_refused(tmp_path):
    for name, words in places(tmp_path).items():
        with pytest.raises(BadConfig) as refusal:
            read_yaml(tmp_path / name)
        assert words in str(refusal.value) and "\n" not in str(refusal.value), name


def test_what_is_written_can_be_read_back_also_where_a_part_comes_twice():
    part = {"rate": 1e-3, "name": "1e3"}
    given = {"first": part, "second": part}
    assert parse_yaml(dump_yaml(given), "it") == given
