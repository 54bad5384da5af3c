"""The program: finds the verb, runs it, and turns each failure into one line."""

import importlib.metadata
import io
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from handlab.cli import ended_at_once
from handlab.reporting.terminal import PROGRAM
from handlab_core.errors import HandlabError, printable
from handlab_core.system.files import shown_path
from handlab_core.system.lifeline import leave

VERBS = {
    "demo": "learning",
    "train": "learning",
    "evaluate": "learning",
    "up": "graph",
    "emulate": "graph",
    "record": "teaching",
    "replay": "teaching",
    "keep": "teaching",
    "gait": "teaching",
    "setup": "hardware",
    "check": "hardware",
    "calibrate": "hardware",
    "status": "hardware",
    "torque": "hardware",
    "jog": "hardware",
    "reboot": "hardware",
    "identify": "machine",
    "bench": "machine",
    "report": "learning",
    "compare": "learning",
    "export": "learning",
    "view": "graph",
    "tasks": "machine",
    "hands": "machine",
    "doctor": "machine",
    "test": "machine",
}
"""Group of each verb, in the order of `./handlab --help`: the verb is the function of its name in
the module `handlab.cli.<group>.<verb>`."""

RAW: dict[str, dict[str, Any]] = {
    "bench": {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
    "test": {"allow_extra_args": True, "ignore_unknown_options": True},
}
"""Verbs that read their words themselves, and the settings of the command-line library for that."""

LONGEST_LINE = 400
"""Characters of a message about the command line."""


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"handlab {importlib.metadata.version('handlab')}")
        raise typer.Exit


def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version"),
    ] = False,
) -> None:
    """Teach a robot hand a skill, on MuJoCo or on the real thing."""


def make_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Build the command line of some verbs; their modules are imported here."""
    made = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    made.callback()(_main)
    for name in verbs:
        verb = getattr(import_module(f"handlab.cli.{VERBS[name]}.{name}"), name)
        if signature(verb).parameters:
            from handlab.cli.fields import with_options  # which makes all option classes

            verb = with_options(verb)
        made.command(context_settings=RAW.get(name))(verb)
    return made


AT_THE_BENCH = {verb for verb, group in VERBS.items() if group == "hardware"}

WITHOUT_ROS = {"doctor", "tasks", "hands", "report", "compare", "export", "--help", *AT_THE_BENCH}
"""Verbs that work whatever the shell says of ROS; those at the bench ask ROS if a graph runs."""


def _end_in_order() -> None:
    """Let SIGTERM, and the SIGHUP of a closed terminal, end this process as Ctrl-C does.

    A signal that is ignored stays so: `nohup ./handlab train` outlives its terminal.
    """

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


UsageError: Any = typer.BadParameter.__base__
"""Raised for a command line that cannot be understood; typer names its subclass only."""


def run(words: Sequence[str]) -> int:
    """Run a verb; return its exit code. A failure is one line and 1, of a wrong command line 2.

    Args:
        words: the command line behind the program's name.
    """
    try:
        with ended_at_once():
            if not WITHOUT_ROS & set(words):
                from handlab.graph import ros_environment

                ros_environment.check_middleware()
            # The imports of all verbs take a second.
            app = make_app(VERBS.keys() & set(words[:1]) or VERBS)
        code = app(list(words) or ["--help"], standalone_mode=False, prog_name=PROGRAM)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except SystemExit as end:
        return int(end.code or 0)
    except UsageError as error:
        verb = error.ctx.command_path if error.ctx else PROGRAM
        print(f"handlab: {_short(error.format_message())}; see {verb} --help", file=sys.stderr)
        return 2
    except (HandlabError, OSError, UnicodeError, MemoryError, RecursionError) as error:
        print(f"handlab: {_reason(error)}", file=sys.stderr)
        return 1
    return code or 0


def main() -> None:
    """Run the verb that this process was started for."""
    _end_in_order()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack a character
            stream.reconfigure(errors="backslashreplace")
    leave(run(sys.argv[1:]))  # at once: someone waits for the end


def _reason(error: Exception) -> str:
    """Return the line that a user reads."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        if error.filename is None:
            return reason
        return f"{shown_path(Path(os.fsdecode(error.filename)))}: {reason}"
    if isinstance(error, UnicodeError):
        return f"text that is not UTF-8: {_short(str(error))}"
    if isinstance(error, MemoryError):
        return "not enough memory: ask for fewer worlds, episodes or points"
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read"
    return printable(str(error))


def _short(text: str) -> str:
    """Return a message of the command-line library on one line, a long value cut."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 80]} ... {line[-70:]}"
