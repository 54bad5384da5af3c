"""The short form of `./handlab bench kill`: the cases that were worst, on an emulated hand."""

import pytest

from handlab.benches import kill


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("victim", "name"),
    [("supervisor", "SIGKILL"), ("supervisor", "SIGHUP"), ("driver", "SIGSTOP")],
)
def test_nothing_is_left_and_the_hand_is_let_go_within_two_seconds(victim, name):
    case = kill.strike_with_hand(victim, name)
    assert case.wrong == []
    assert case.let_go_s is not None and case.let_go_s < 2.0 and case.gone_s < 2.0


def test_every_process_and_every_signal_is_struck_and_what_is_wrong_is_counted(monkeypatch):
    struck = []

    def strike(part):
        def one(victim, name):
            struck.append((part, victim, name))
            return kill.Case(part, victim, name, ["left"] if victim == "driver" else [], 0.5)

        return one

    monkeypatch.setattr(kill, "strike_with_hand", strike("hand"))
    monkeypatch.setattr(kill, "strike_run", strike("run"))
    result = kill.measure(0)
    assert len(struck) == len(set(struck)) == 2 * 8 * 4
    assert result.value == 2 * 4 and result.limit == 0
    assert "hand driver SIGHUP: left" in result.details["wrong"]
