"""Seconds from Ctrl-C to the prompt, for each verb that takes longer than a moment.

Each verb runs in a terminal of its own, where Ctrl-C reaches all of its processes, and is
interrupted at MOMENTS after its start: while it imports, while its graph starts, and while it
works. A verb is wrong if it takes longer than LIMIT, leaves a process or shows a traceback.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from handlab.benches.kept import chosen
from handlab.benches.killing.processes import kill, living, tree
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.errors import StationFault
from handlab_core.system.validation import Text, checked

LIMIT = 2.0
"""Seconds from the signal until the verb and all of its processes are gone."""

LONGEST = 15.0
"""Seconds; a verb that takes longer is killed."""

MOMENTS = (0.3, 2.0, 8.0)
"""Seconds from the start of a verb to its interruption."""

PROGRAM = ("-m", "handlab.cli")
"""Arguments of Python that run `./handlab`."""

RUN, BAG = "run", "bag"
"""A finished run and a recording, which some verbs are given."""

EMULATED = ("--hardware", "dynamixel", "--port", "emulated")

VERBS: dict[str, tuple[str, ...]] = {
    "demo": ("demo",),
    "train in the process": ("train", "valve", "--backend", "sim", "--max-hours", "1"),
    "train in the graph": ("train", "valve", "--algorithm", "npg", "--max-hours", "1"),
    "train with emulated servos": ("train", "valve", "--max-hours", "1", *EMULATED),
    "evaluate": ("evaluate", RUN, "--episodes", "1000", "--backend", "graph"),
    "up": ("up", "valve"),
    "up with emulated servos": ("up", "valve", *EMULATED),
    "up with a viewer": ("up", "valve", "--viewer"),
    "emulate dynamixel": ("emulate", "dynamixel"),
    "record": ("record", "valve", "--teacher", "script", "--pace", "real", "--bag", "new"),
    "replay": ("replay", BAG, "--no-viewer"),
    "gait": ("gait", "valve"),
    "status": ("status", "--port", "emulated"),
    "jog": ("jog", "--port", "emulated"),
    "check": ("check", "claw", "--port", "emulated", "--unattended"),
    "identify": ("identify", "claw", *EMULATED),
    "bench": ("bench", "sim"),
    "view": ("view", "valve"),
}


CTRL_C = b"\x03"


@checked
class InterruptOptions:
    """Options of the bench."""

    verbs: Annotated[
        Text, Field(description="Verbs to interrupt, separated by commas; empty: all")
    ] = ""


@dataclass
class Interruption:
    """One interrupted verb."""

    verb: str
    moment_s: float
    took_s: float = 0.0
    code: int | None = None
    """Exit status; None: the verb had to be killed."""
    wrong: list[str] = field(default_factory=list)


def measure(seed: int, options: InterruptOptions) -> Result:
    """Interrupt each verb at each moment.

    Args:
        seed: random seed; nothing here is random.
        options: the verbs.
    """
    verbs = chosen("verbs", options.verbs, VERBS)
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = Path(scratch)
        _prepare(folder)
        done = [
            interrupt(verb, VERBS[verb], moment, folder) for verb in verbs for moment in MOMENTS
        ]
    wrong = [f"{d.verb} after {d.moment_s:g} s: {text}" for d in done for text in d.wrong]
    slowest = max(done, key=lambda d: d.took_s)
    return Result(
        slowest.took_s,
        LIMIT,
        "s",
        {"slowest": slowest.verb, "wrong": wrong, "interruptions": [asdict(d) for d in done]},
    )


def interrupt(verb: str, words: Sequence[str], moment: float, folder: Path) -> Interruption:
    """Type Ctrl-C in the terminal of a verb some time after its start.

    Args:
        verb: name of the result.
        words: arguments of `./handlab`.
        moment: s; time after the start.
        folder: working directory of the verb, with a RUN and a BAG.
    """
    done = Interruption(verb, moment)
    with _terminal(words, folder) as (process, keyboard, said):
        time.sleep(moment)
        if process.poll() is not None:
            done.wrong.append(f"it had ended with status {process.returncode}: {_end(said)}")
            return done
        family, began = tree(process.pid), time.monotonic()
        os.write(keyboard, CTRL_C)
        with suppress(subprocess.TimeoutExpired):
            done.code = process.wait(LONGEST)
        while (left := living(family)) and time.monotonic() - began < LONGEST:
            time.sleep(0.01)
        done.took_s = round(time.monotonic() - began, 2)
        kill(left)
    if done.took_s > LIMIT:
        done.wrong.append(f"it took {done.took_s:.1f} s")
    if left:
        done.wrong.append(f"{len(left)} processes were left")
    if b"Traceback" in said or b"core dumped" in said:
        done.wrong.append(_end(said))
    return done


def _prepare(folder: Path) -> None:
    """Make the run and the recording that some verbs are given."""
    small = ["--set", "hidden=[8]", "--set", "episodes_per_iteration=2", "--max-hours", "0.003"]
    words = ["train", "valve", "--algorithm", "npg", "--backend", "sim", "--until", "hours"]
    _run([*words, *small], folder)
    next(folder.glob("runs/*")).rename(folder / RUN)
    _run(["record", "valve", "--teacher", "script", "--episodes", "2", "--bag", BAG], folder)


def _run(words: Sequence[str], folder: Path) -> None:
    command = [sys.executable, *PROGRAM, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise StationFault(f"`./handlab {shlex.join(words)}` failed: {done.stderr[-300:]}")


@contextmanager
def _terminal(
    words: Sequence[str], folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int, bytearray]]:
    """Run a verb in a new terminal; yield it, the terminal's keyboard and what it has said."""
    keyboard, screen = os.openpty()
    said = bytearray()

    def read() -> None:
        with suppress(OSError):  # the terminal is closed
            while data := os.read(keyboard, 65536):
                said.extend(data)

    process = subprocess.Popen(
        [sys.executable, *PROGRAM, *words],
        cwd=folder,
        preexec_fn=lambda: os.login_tty(screen),
        pass_fds=(screen,),
    )
    os.close(screen)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, keyboard, said
    finally:
        kill(tree(process.pid))
        process.wait()
        reader.join(1.0)
        os.close(keyboard)


def _end(said: bytearray) -> str:
    """Return the last words on a screen."""
    return said.decode(errors="replace")[-300:].strip()


def _cell(result: Kept) -> str:
    wrong = f"; {len(result['wrong'])} wrong" if result["wrong"] else ""
    return f"**{result['value']:.1f} s**, `{result['slowest']}`{wrong}"


BENCH = Bench(
    measure,
    options=InterruptOptions,
    figure=Figure("Ctrl-C to the prompt, slowest verb", "under 2 s", _cell),
)
