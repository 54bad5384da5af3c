"""Every command of the README and of the pages runs, or stands in a table with the reason.

Commands run in the order of a reader, in an empty folder. Names that a reader replaces, such as
`TASK`, `RUN`, `BAG` and the port of an adapter, are replaced. Trainings and evaluations are
shortened: by options that are added here, and by `few_episodes`. A command that starts a graph of
processes takes half a minute of processor time: HANDLAB_ALL_COMMANDS=1 runs these, too.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from handlab.cli import program
from handlab.experiments import training
from handlab.operation import operated_hand
from handlab.reporting import run_report
from handlab_core.system.paths import share

ROOT = share()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"```.*?\n(.*?)```", re.DOTALL)
SPAN = re.compile(r"`\./handlab ([^`]+)`")
LINE = re.compile(r"^(?:\w+=\S+ )?\./handlab ((?:\\\n|[^\n#])*)", re.MULTILINE)

ALL = bool(os.environ.get("HANDLAB_ALL_COMMANDS"))

MINUTES = 240.0
"""s; longest run of a command. Most take seconds; a busy machine takes ten times as long."""


@dataclass(frozen=True)
class Typed:
    """A command as it is typed here."""

    words: str = ""
    """The words; empty: those of the document."""
    also: str = ""
    """Words that are added."""
    until: str = ""
    """Text after which Ctrl-C ends it; empty: it ends by itself."""
    graph: bool = False
    """Whether it starts a graph of processes: then it runs with HANDLAB_ALL_COMMANDS only."""

    def line(self, command):
        """Return the words to type for a command of a document."""
        return f"{self.words or command} {self.also}".strip()


SHORT = "--max-hours 0.001"
FEW = "--backend sim --episodes 2"
READY = "Ctrl-C ends it"

RUNS = {
    "VERB --help": Typed("train --help"),
    "tasks": Typed(),
    "hands": Typed(),
    "doctor": Typed(),
    "test --version": Typed(),
    "bench finger": Typed(),
    # Learning.
    "train TASK --backend sim": Typed("train pose --backend sim", SHORT),
    "train TASK": Typed("train pose", f"--backend sim {SHORT}"),
    "train TASK --algorithm dapg": Typed("train valve --algorithm dapg", f"--backend sim {SHORT}"),
    "train flip --backend sim --estimator camera": Typed(also=SHORT),
    "train --resume runs/<run>": Typed("train --resume RUN"),
    "report runs/<run>": Typed("report RUN"),
    "report RUN": Typed(),
    "compare RUN RUN ...": Typed("compare RUN SECOND"),
    "evaluate RUN": Typed(also=FEW),
    "evaluate RUN --policy last": Typed(also=FEW),
    "evaluate RUN --estimator ...": Typed("evaluate RUN --estimator camera", FEW),
    "export RUN": Typed(),
    "export runs/20261128-101500-valve-npg-s0 --to valve.onnx": Typed("export RUN --to valve.onnx"),
    "evaluate valve.onnx": Typed(also=FEW),
    "evaluate policies/valve.onnx": Typed(f"evaluate {ROOT}/policies/valve.onnx", FEW),
    "gait flip --seed 8": Typed(also="--generations 1"),
    "gait flip --start flip --seed 108 --generations 150": Typed(
        "gait flip --start flip --seed 108 --generations 1"
    ),
    "gait valve_foam --start valve": Typed(also="--generations 1"),
    "replay recordings/... --on data": Typed("replay BAG --on data"),
    "replay BAG --on data": Typed(),
    # A hand at the bench, emulated to the wire.
    "setup dynamixel --scan": Typed(also="--port PORT"),
    "setup dynamixel": Typed(also="--port PORT"),
    "check claw": Typed(also="--port PORT --unattended --joint FFJ10"),
    "check claw --station claw.station.yaml": Typed(also="--unattended --joint FFJ10"),
    "calibrate --station claw.station.yaml": Typed(also="--force --overwrite"),
    "torque on": Typed(also="--port PORT", until="engaged"),
    "torque off": Typed(also="--port PORT"),
    "jog FFJ10 --by 5": Typed(also="--port PORT"),
    "reboot FFJ10": Typed(also="--port PORT"),
    "identify STATION": Typed("identify claw", "--port emulated", graph=True),
    # Graphs.
    "up TASK": Typed("up pose", until=READY, graph=True),
    "up valve --viewer": Typed(until=READY, graph=True),
    "up valve --scene": Typed(until=READY, graph=True),
    "up valve --hardware dynamixel": Typed(also="--port emulated", until=READY, graph=True),
    "up valve --hardware dynamixel --station claw.station.yaml": Typed(
        also="--port emulated", until=READY, graph=True
    ),
    "up leap_pose --viewer": Typed(until=READY, graph=True),
    "up leap_pose --hardware dynamixel --port emulated": Typed(until=READY, graph=True),
    "up leap_pose --hardware dynamixel --port /dev/ttyUSB0": Typed(
        "up leap_pose --hardware dynamixel --port emulated", until=READY, graph=True
    ),
    "view valve": Typed(until="open http", graph=True),
    "emulate dynamixel": Typed(until=READY),
    "demo --pretrained": Typed(graph=True),
    "evaluate runs/20261128-101500-valve-npg-s0 --backend graph --bag flight": Typed(
        "evaluate RUN --backend graph --bag flight", "--episodes 1", graph=True
    ),
    "replay flight --exact": Typed(graph=True),
    "evaluate runs/... --hardware dynamixel --port emulated": Typed(
        "evaluate RUN --hardware dynamixel --port emulated", "--episodes 1", graph=True
    ),
    "train valve --hardware dynamixel --port /dev/ttyUSB0": Typed(
        "train valve --hardware dynamixel --port emulated", SHORT, graph=True
    ),
    "record valve": Typed(also="--episodes 1", graph=True),
    "record TASK": Typed("record valve", "--episodes 1", graph=True),
    "replay BAG": Typed("replay BAG --on hand", "--episode 0 --no-viewer", graph=True),
    "replay BAG --scene": Typed("replay BAG --on hand --scene", "--no-viewer", graph=True),
    "replay recordings/... --on hand --hardware dynamixel": Typed(
        "replay BAG --on hand --hardware dynamixel", "--port emulated --no-viewer", graph=True
    ),
}
"""How each command of a document is typed here, in the order in which they run."""

MADE_BY = {
    "claw.station.yaml": "setup dynamixel",
    "valve.onnx": "export runs/20261128-101500-valve-npg-s0 --to valve.onnx",
    "flight": "evaluate runs/20261128-101500-valve-npg-s0 --backend graph --bag flight",
}
"""Files that a command needs, and the command that makes them, which may not have run here."""

NOT_HERE = {
    r"bench .*": "measures for minutes to a night on a quiet machine; its parts have tests",
    r"demo|demo --post": "learns for minutes to hours: `./handlab bench demo`, `bench valve`",
    r"test( .*)?": "runs these tests",
    r"doctor --fix": "changes the machine; test_checks.py tries each repair",
    r"train adroit_.*": "learns for an hour: `./handlab bench local_models`",
    r"train .*--workers ray .*": "needs Ray, which `requirements-ray.lock` installs",
    r"train .*--hardware mujoco_gpu .*": "needs a graphics card",
    r"record .*--hardware .*": "a person guides the fingers",
    r"replay recordings/\.\.\. --on look": "shows the recording in a browser until it is closed",
    r"(up|train) quarter .*": "needs the page's task as a file: test_contributing.py writes it",
}
"""Pattern of commands that do not run here, and the reason."""


def documented():
    """Return every command of the documents with its words, in their order."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        blocks = "\n".join(BLOCK.findall(text))
        typed = [line.replace("\\\n", " ") for line in LINE.findall(blocks)]
        # A verb alone between backticks is its name.
        typed += [span for span in SPAN.findall(BLOCK.sub("", text)) if " " in span.strip()]
        for words in typed:
            found.setdefault(" ".join(words.replace("\\|", "|").split()), page.name)
    return found


DOCUMENTED = documented()


def reason(command):
    """Return why a command does not run here; None without a reason."""
    return next((why for form, why in NOT_HERE.items() if re.fullmatch(form, command)), None)


def test_every_command_of_a_document_runs_here_or_has_a_reason():
    unknown = {c: page for c, page in DOCUMENTED.items() if c not in RUNS and not reason(c)}
    assert not unknown


def test_the_tables_have_no_command_that_no_document_has():
    assert not {command for command in RUNS if command not in DOCUMENTED}
    idle = [f for f in NOT_HERE if not any(re.fullmatch(f, command) for command in DOCUMENTED)]
    assert not idle


class Reader:
    """Types commands in a folder of its own."""

    def __init__(self, folder):
        self.folder, self._runs, self._emulator, self._started = folder, {}, None, []
        self.port = str(folder / "port")

    def run(self, seed):
        """Return the folder of a finished run."""
        if seed not in self._runs:
            words = f"train valve --backend sim --seed {seed} {SHORT}"
            assert program.run(shlex.split(words)) == 0
            self._runs[seed] = max(Path("runs").iterdir(), key=lambda run: run.stat().st_mtime)
        return self._runs[seed]

    def filled(self, words):
        """Replace the names that a reader replaces."""
        for seed, name in enumerate(("RUN", "SECOND")):
            if name in words:
                words = words.replace(name, str(self.run(seed)))
        if "PORT" in words:
            self._emulate()
        return words.replace("PORT", self.port).replace("BAG", str(ROOT / "demos" / "valve"))

    def _emulate(self):
        """Serve an emulated claw until the end."""
        if self._emulator is None:
            self._emulator = self.start("emulate dynamixel", "--port", self.port)
            self.hear(self._emulator, READY)

    def start(self, words, *more):
        """Start a command as a process."""
        process = subprocess.Popen(
            [sys.executable, "-m", "handlab.cli", *shlex.split(words), *more], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def hear(self, process, text):
        """Read what a process prints until a text comes."""
        heard = []
        for line in process.stdout:
            heard.append(line)
            if text in line:
                return
        raise AssertionError(f"it ended with {process.wait()}: {''.join(heard)}")

    def end(self, process):
        """End a process by Ctrl-C; return its exit status."""
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=MINUTES)
        return process.returncode

    def close(self):
        """End what still runs: the emulator, and commands of tests that failed."""
        for process in self._started:
            if process.poll() is None:
                self.end(process)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A reader in an empty folder, for whom trainings are short."""
    folder = tmp_path_factory.mktemp("reader")
    new_run = training.new_run

    def few_episodes(config, *rest):
        return new_run(replace(config, evaluation_episodes=1), *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(training, "new_run", few_episodes)
        patch.setattr(run_report.video, "render", lambda *_: "tests make no film")
        # Other graphs of this machine are no concern of this reader.
        patch.setattr(operated_hand, "chosen_graph", lambda *_: None)
        made = Reader(folder)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.timeout(2 * MINUTES)
@pytest.mark.parametrize("command", RUNS)
def test_a_command_of_a_document_runs(reader, command, capfd):
    typed = RUNS[command]
    if typed.graph and not ALL:
        pytest.skip("starts a graph: HANDLAB_ALL_COMMANDS=1 runs it")
    words = reader.filled(typed.line(command))
    for file, maker in MADE_BY.items():
        if file in words.split() and maker != command and not Path(file).exists():
            assert program.run(shlex.split(reader.filled(RUNS[maker].line(maker)))) == 0
    if typed.until:
        process = reader.start(words)
        reader.hear(process, typed.until)
        assert reader.end(process) in (0, 128 + signal.SIGINT)
        return
    status = program.run(shlex.split(words))
    said = capfd.readouterr()
    assert status == 0, said.out + said.err
    assert "Traceback" not in said.out + said.err
