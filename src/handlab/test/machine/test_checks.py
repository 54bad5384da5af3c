"""`./handlab doctor --fix` repairs what it can, one line each, and says why it cannot."""

import json

import pytest

from handlab.cli.machine import doctor as verb
from handlab.machine import checks
from handlab.machine.adapters import Places
from handlab.machine.checks import Check, repair


def refuse():
    raise PermissionError(13, "Permission denied", "/etc/x")


def test_a_repair_says_its_effect_or_why_there_is_none():
    assert repair(Check("a", False, "", "do it", repair=lambda: "done")) == (True, "done")
    assert repair(Check("a", False, "", "unset it")) == (False, "not by this program: unset it")
    done, reason = repair(Check("a", False, "", "sudo x", repair=refuse))
    assert not done and "root" in reason and "sudo x" in reason


@pytest.mark.parametrize(("fix", "status"), [(True, False), (False, True)])
def test_the_verb_prints_one_line_for_each_repair(fix, status, monkeypatch, capsys):
    calls = []
    found = [
        Check("good", True, "here", repair=lambda: calls.append("good") or "never"),
        Check("bad", False, "broken", "mend it", repair=lambda: calls.append("bad") or "mended"),
        Check("convenience", False, "missing", "install it", needed=False),
    ]
    monkeypatch.setattr(checks, "check_all", lambda: found)
    with pytest.raises(SystemExit) as end:
        verb.doctor(fix, as_json=True)
    assert end.value.code is status
    *lines, last = capsys.readouterr().out.splitlines()
    assert calls == (["bad"] if fix else [])
    assert ("     repaired: mended" in lines) is fix
    assert ("     mend it" in lines) is not fix
    assert json.loads(last) == {"good": True, "bad": fix, "convenience": False}


def test_a_slow_adapter_and_a_missing_rule_are_found(tmp_path):
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "sys/ttyUSB0").mkdir(parents=True)
    (tmp_path / "sys/ttyUSB0/latency_timer").write_text("16")
    places = Places(tmp_path, tmp_path / "sys", tmp_path / "rules")
    timer, rule = checks._adapters(places), checks._rule(places)
    assert not timer.ok and "16 ms" in timer.found and not timer.needed
    assert not rule.ok and "sudo tee" in rule.remedy
    assert repair(timer)[0] and checks._adapters(places).ok


def test_a_library_that_cannot_be_imported_is_installed_by_the_next_start():
    check = checks._library("no_such_library")()
    assert not check.ok and check.repair.args == ("environment",) and "--fix" in check.remedy
