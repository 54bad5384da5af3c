"""Texts on the page."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from handlab.browser.handles import literal
from handlab_core.errors import said


def cell(text):
    """Return what a page shows in a cell of a table, without tags."""
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown = page.render(f"| a | b |\n|---|---|\n| x {text} | y |")
    found = re.search(r"<td>x ?(.*)</td>\n<td>y</td>", shown)
    assert found, shown
    return html.unescape(found[1])


@pytest.mark.parametrize(
    "text",
    [
        "motor at 70 <80 & rising", "<img src=x onerror=alert(1)>", "a | b", "*b* _i_ `c` ~~s~~",
        "![p](http://x/y)", "[l](u)", r"C:\path\_x", "&lt; &copy;", "{1}", "\\", "# h",
    ],
)  # fmt: skip
def test_words_are_shown_as_they_are(text):
    assert cell(literal(text)).strip() == text


@given(st.text(max_size=80))
def test_no_text_leaves_its_cell_or_becomes_anything_else(text):
    assert cell(literal(text)).strip() == said(text)
