"""Words in messages."""

from hypothesis import given
from hypothesis import strategies as st

from handlab_core.errors import said


@given(st.text(max_size=2000))
def test_what_is_said_is_one_printable_line(text):
    line = said(text)
    assert line.isprintable() and "\n" not in line and len(line) <= 12 * 500
