"""Interruption of verbs: what stays, takes long or shows a traceback is counted."""

import pytest

from handlab.benches.running import interrupt

VERB = """
import signal, subprocess, sys, time
def interrupted(*_):
    time.sleep({longer})
    raise {error}
signal.signal(signal.SIGINT, interrupted)
child = {child}
time.sleep(60)
"""

STAYING = 'subprocess.Popen(["sleep", "60"], start_new_session=True)'


@pytest.mark.parametrize(
    ("longer", "error", "child", "wrong"),
    [
        (0, "SystemExit(130)", None, []),
        (0.3, "SystemExit(130)", None, ["it took"]),
        (0, "KeyError('x')", None, ["Traceback"]),
        (0, "SystemExit(130)", STAYING, ["it took", "1 processes were left"]),
    ],
)
def test_what_is_wrong_at_an_interruption_is_counted(
    longer, error, child, wrong, tmp_path, monkeypatch
):
    code = VERB.format(longer=longer, error=error, child=child)
    monkeypatch.setattr(interrupt, "PROGRAM", ("-c", code))
    monkeypatch.setattr(interrupt, "LIMIT", 0.2)
    monkeypatch.setattr(interrupt, "LONGEST", 1.0)
    done = interrupt.interrupt("verb", [], 1.0, tmp_path)
    assert len(done.wrong) == len(wrong)
    assert all(part in text for part, text in zip(wrong, done.wrong, strict=True))


def test_a_verb_that_ended_by_itself_is_counted(tmp_path):
    [text] = interrupt.interrupt("wrong", ["no_such_verb"], 6.0, tmp_path).wrong
    assert "it had ended with status 2" in text


@pytest.mark.parametrize("moment", [0.3, 1.0, 1.5, 2.0])
def test_ctrl_c_ends_a_verb_while_it_imports_without_a_word(moment, tmp_path):
    """Libraries of the viewer swallow the KeyboardInterrupt of their own imports."""
    done = interrupt.interrupt("view", ["view", "valve"], moment, tmp_path)
    assert not done.wrong and done.code in (-2, 0, 130)
