"""Whatever ends a program that reads keys, the terminal is as it was before."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from handlab.operation.keyboard import Keyboard
def end(number, _):
    raise SystemExit(128 + number)
signal.signal(signal.SIGTERM, end)
keys = []
with Keyboard(keys.append, lambda: print("suspending", flush=True)) as keyboard:
    print("reads keys" if keyboard.present else "no terminal", flush=True)
    while "q" not in keys:
        if "x" in keys:
            raise RuntimeError("a fault")
        time.sleep(0.01)
print("was told", *keys, flush=True)
"""


@pytest.fixture
def program(tmp_path):
    """The program as a file: a terminal echoes the command that starts it."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize("end", ["a key", "SIGINT", "ctrl-c", "SIGTERM", "an exception"])
def test_the_terminal_is_given_back_at_every_end(terminal, end):
    program = terminal(sys.executable, "-c", PROGRAM)
    program.until("reads keys", "the start")
    assert not program.echoes
    if end in ("a key", "an exception"):
        program.press("q" if end == "a key" else "x")
    elif end == "ctrl-c":
        program.press("\x03")
    else:
        os.kill(program.pid, getattr(signal, end))
    code = program.code(20.0)
    assert program.modes() == program.before
    assert (code == 0) == (end == "a key"), program.said


def test_a_suspended_program_gives_the_terminal_back_and_takes_it_again(terminal, program):
    """In a shell that does not mend the modes itself."""
    shell = terminal("/bin/sh", "-i")
    shell.press(f"{sys.executable} {program}\n")
    shell.until("reads keys", "the start")
    assert not shell.echoes
    shell.press("\x1a")
    shell.until("Stopped", "the suspension", 20.0)
    assert shell.echoes and "suspending" in shell.said
    shell.press("fg\n")
    shell.until(lambda: not shell.echoes, "the program to go on", 20.0)
    shell.press("abq")
    shell.until("was told a b q", "the keys", 20.0)
    assert shell.echoes


def test_in_the_background_the_keys_are_the_shells(terminal, program):
    shell = terminal("/bin/sh", "-i")
    shell.press(f"{sys.executable} {program} &\n")
    shell.until("reads keys", "the start")
    shell.press("echo $((6 * 7))\n")
    shell.until("42", "the shell", 20.0)
    assert shell.echoes and "Stopped" not in shell.said
    shell.press("fg\n")
    shell.until(lambda: not shell.echoes, "the program in the foreground", 20.0)
    shell.press("q")
    shell.until("was told q", "the key", 20.0)
    assert shell.echoes


def test_without_a_terminal_no_key_is_read():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace('"q" not in keys', "False")],
        input="q", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.stdout == "no terminal\nwas told\n", ended
