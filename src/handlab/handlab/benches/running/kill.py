"""Hand, processes and files after a process of a running graph was killed, ended or stopped.

Two parts, for each node and for the verb that started them (the supervisor), and for each signal:

- hand: training on emulated servos, whose torque registers are looked at from outside. The hand is
  let go within LIMIT, and no process is left LIMIT after the end.
- run: training in MuJoCo. It is resumed where it was broken off, and its metrics have every
  iteration once.

A third part kills LEARNERS of a run that learns from all its episodes, KILLS times each at random
moments of one run. After each kill the run is resumed. At the end metrics and replay have every
iteration and every episode once, and the learner's state is the one that a learner without kills
has after the logged episodes, bit for bit.

A stopped process (SIGSTOP) goes on after STOPPED_FOR. The hand is let go while a process stands
still that each of its steps needs; the others only make the graph wait.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import psutil

from handlab.benches.result import Bench, Result
from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab.experiments.training import new_run
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import StationTimeout
from handlab_hardware.dynamixel.emulator import EmulatedPort
from handlab_hardware.station_file import station_path
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

SUPERVISOR = "supervisor"
IN_EACH_STEP = ("driver", "estimator", "reward", "runner")
VICTIMS = (SUPERVISOR, *IN_EACH_STEP, "reset", "learner", "recorder")
SIGNALS = ("SIGHUP", "SIGTERM", "SIGKILL", "SIGSTOP")

LIMIT = 2.0
"""Seconds for the hand to be let go and for all processes to be gone."""
STOPPED_FOR = 5.0
"""Seconds for which a process is stopped."""
START = 120.0
"""Seconds for a graph to start, on a busy machine too."""
FINISH = 600.0
"""Seconds for a run to be finished, with evaluation, video and report."""
HAND_SERVOS = 9

SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}
HOURS = "0.012"
"""Robot-hours of a run in MuJoCo; some ten iterations."""

LEARNERS, KILLS = ("learner", "runner", SUPERVISOR), 10
"""Processes that are killed at random moments; number of kills of each."""

OFF_POLICY = {
    "hidden": [16], "batch": 32, "update_ratio": 0.5, "first_episodes": 1, "own_demonstrations": 0,
}  # fmt: skip

LONGEST_MOMENT = 0.3
"""Seconds; a kill comes at a uniformly drawn time after the second new iteration. An iteration
takes about as long."""


@dataclass
class Case:
    """Outcome of one run."""

    part: str
    victim: str
    signal: str
    wrong: list[str] = field(default_factory=list)
    let_go_s: float | None = None
    gone_s: float | None = None


def measure(seed: int) -> Result:
    """Strike every process with every signal, and count the violations."""
    return strike_all(VICTIMS, SIGNALS, KILLS, seed)


def strike_all(victims: Sequence[str], signals: Sequence[str], kills: int, seed: int) -> Result:
    """Strike some processes with some signals, and count the violations.

    Args:
        victims: processes that are struck once by each signal.
        signals: names of the signals.
        kills: number of kills of each process of a run that learns from all its episodes.
        seed: seed of the moments of these kills.
    """
    cases = [
        part(victim, name)
        for victim in victims
        for name in signals
        for part in (strike_with_hand, strike_run)
    ]
    cases += strike_learning(kills, seed)
    wrong = [f"{c.part} {c.victim} {c.signal}: {text}" for c in cases for text in c.wrong]
    slowest = max((c.let_go_s for c in cases if c.let_go_s is not None), default=0.0)
    details = {"slowest_let_go_s": slowest, "wrong": wrong, "cases": [asdict(c) for c in cases]}
    return Result(float(len(wrong)), 0.0, "violations", details)


def strike_with_hand(victim: str, name: str) -> Case:
    """Strike a process while the policy moves an emulated hand."""
    case = Case("hand", victim, name)
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = Path(scratch)
        with emulate_dynamixel(station_path("claw"), folder / "port") as port:
            words = ["--hardware", "dynamixel", "--port", str(folder / "port")]
            with _training(folder, *words) as verb:
                _wait(lambda: _engaged(port), "the hand to be engaged")
                processes = _processes(verb)
                struck = _find(victim, verb, processes)
                began = time.monotonic()
                struck.send_signal(getattr(signal, name))
                if name == "SIGSTOP":
                    if victim in IN_EACH_STEP:
                        case.let_go_s = _until_let_go(port, began, case)
                    time.sleep(max(0.0, began + STOPPED_FOR - time.monotonic()))
                    struck.send_signal(signal.SIGCONT)
                    if verb.poll() is not None:
                        case.wrong.append(f"the verb ended with code {verb.returncode}")
                    began = time.monotonic()
                    verb.send_signal(signal.SIGTERM)
                let_go = _until_let_go(port, began, case)
                case.let_go_s = let_go if case.let_go_s is None else case.let_go_s
                case.gone_s = _until_gone(processes, began, case)
    return case


def strike_run(victim: str, name: str) -> Case:
    """Strike a process of a run in MuJoCo, resume the run, and look at its metrics."""
    case = Case("run", victim, name)
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = Path(scratch)
        with _training(folder, "--max-hours", HOURS, "--until", "hours") as verb:
            _wait(lambda: list(folder.glob("runs/*/checkpoints/000002.json")), "two iterations")
            processes = _processes(verb)
            struck = _find(victim, verb, processes)
            began = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                struck.send_signal(getattr(signal, name))
            if name == "SIGSTOP":
                time.sleep(STOPPED_FOR)
                struck.send_signal(signal.SIGCONT)
                verb.wait(FINISH)
            else:
                case.gone_s = _until_gone(processes, began, case)
        [path] = folder.glob("runs/*")
        run = RunFolder(path)
        if not (path / "summary.json").exists():
            case.wrong += _resumed(run, folder)
        numbers = [row["iteration"] for row in run.metrics()]
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            case.wrong.append(f"iterations in metrics.jsonl: {numbers}")
    return case


def _resumed(run: RunFolder, folder: Path) -> list[str]:
    """Resume a run; return what went wrong."""
    words = _resuming(run)
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=FINISH)
    except subprocess.TimeoutExpired as late:
        return [f"is not over {FINISH:.0f} s after its resumption: {str(late.stderr)[-300:]}"]
    return [f"cannot be resumed: {done.stderr[-300:]}"] if done.returncode else []


def strike_learning(kills: int, seed: int) -> list[Case]:
    """Kill learner, runner and supervisor of one off-policy run at random moments.

    Args:
        kills: number of kills of each of them.
        seed: seed of the order of the victims and of the moments.
    """
    rng = np.random.default_rng(seed)
    victims = rng.permutation(np.repeat(LEARNERS, kills)).tolist()
    cases = [Case("learning", victim, "SIGKILL") for victim in victims]
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        root = Path(scratch)
        config = RunConfig(
            algorithm="rlpd", settings=OFF_POLICY, until="hours", evaluate_every=1000,
            evaluation_episodes=1,
        )  # fmt: skip
        folder = new_run(config, root / "killed")
        for case in cases:
            _continue(folder, root, case, float(rng.uniform(0.0, LONGEST_MOMENT)))
        _continue(folder, root, Case("learning", SUPERVISOR, "SIGTERM"), 0.0)
        cases[-1].wrong += _differences(folder)
    return cases


def _continue(folder: RunFolder, root: Path, case: Case, moment: float) -> None:
    """Resume a run until it has two more iterations, and strike a process some time later [s]."""
    before = _rows(folder)
    with (root / "said").open("a") as said:
        verb = subprocess.Popen(
            _resuming(folder), cwd=root, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait(lambda: _rows(folder) > before + 1 or verb.poll() is not None, "two iterations")
            time.sleep(moment)
            if verb.poll() is not None:
                case.wrong.append(f"the run ended by itself: code {verb.returncode}")
                return
            processes = _processes(verb)
            began = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                _find(case.victim, verb, processes).send_signal(getattr(signal, case.signal))
            case.gone_s = _until_gone(processes, began, case)
        finally:
            verb.kill()
            verb.wait()


def _resuming(folder: RunFolder) -> list[str]:
    """Return the command that resumes a run."""
    return [sys.executable, "-m", "handlab.cli", "train", "--resume", str(folder.path)]


def _rows(folder: RunFolder) -> int:
    """Return the number of iterations in the metrics, without an unfinished line."""
    return folder.metrics_path.read_text().count("\n") if folder.metrics_path.exists() else 0


class Logged:
    """Implements `Sampler` with the episodes of a log."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = {episode.key: episode for episode in episodes}

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`; KeyError if the log lacks an episode of this policy."""
        yield from (self._episodes[plan.key(n, policy.version)] for n in plan.numbers)


def _differences(folder: RunFolder) -> list[str]:
    """Return what a run has lost, has twice, or learned otherwise than from its episodes."""
    wrong, episodes = [], folder.replay.read()
    numbers = [row["iteration"] for row in folder.metrics()]
    if numbers != list(range(len(numbers))):
        wrong.append(f"iterations in metrics.jsonl: {numbers}")
    logged = [episode.number for episode in episodes]
    if logged != list(range(len(logged))) or len(logged) < len(numbers) - 1:
        wrong.append(f"episodes in the replay: {logged}, and {len(numbers) - 1} iterations")
    newest = folder.newest_checkpoint()
    learner = Trainer(folder.config(), Logged(episodes))
    try:
        while learner.progress.iteration < newest.manifest["iteration"]:
            learner.iterate()
    except KeyError as missing:
        return [*wrong, f"the replay lacks {missing}"]
    state, again = newest.state(), learner.algorithm.state_dict()
    return wrong + [f"{name} differs" for name in again if not state[name].equal(again[name])]


@contextmanager
def _training(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    settings = [w for k, v in SMALL.items() for w in ("--set", f"{k}={json.dumps(v)}")]
    command = [sys.executable, "-m", "handlab.cli", "train", "valve", *settings, *words]
    with (folder / "said").open("w") as said:
        verb = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield verb
        finally:
            verb.kill()
            verb.wait()


def _processes(verb: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the verb and everything it has started."""
    above = psutil.Process(verb.pid)
    return [above, *above.children(recursive=True)]


def _find(
    victim: str, verb: subprocess.Popen[bytes], processes: list[psutil.Process]
) -> psutil.Process:
    if victim == SUPERVISOR:
        return processes[0]
    module = f"handlab_nodes.nodes.{victim}_node"
    [found] = [process for process in processes if module in process.cmdline()]
    return found


def _engaged(port: EmulatedPort) -> bool:
    """Return whether a servo of the hand has torque."""
    return any(servo.table.get("torque_enable") for servo in port.bus.servos[:HAND_SERVOS])


def _until_let_go(port: EmulatedPort, began: float, case: Case) -> float:
    """Wait until the hand is limp; return how long that took [s]."""
    while _engaged(port) and time.monotonic() < began + 2 * LIMIT:
        time.sleep(0.01)
    took = time.monotonic() - began
    if took > LIMIT:
        case.wrong.append(f"the hand was let go after {took:.1f} s")
    return took


def _until_gone(processes: list[psutil.Process], began: float, case: Case) -> float:
    """Wait until all processes are gone; return how long that took [s]."""

    def left() -> list[psutil.Process]:
        return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    while left() and time.monotonic() < began + LIMIT:
        time.sleep(0.01)
    if late := [_name(process) for process in left()]:
        case.wrong.append(f"not gone after {LIMIT:g} s: {', '.join(late)}")
    while left() and time.monotonic() < began + 2 * LIMIT:
        time.sleep(0.01)
    took = time.monotonic() - began
    for process in left():
        process.kill()
    return took


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()[1:5])
    return "one that is just gone"


def _wait(done: Callable[[], object], what: str) -> None:
    end = time.monotonic() + START
    while not done():
        if time.monotonic() > end:
            raise StationTimeout(f"waited {START:.0f} s for {what}")
        time.sleep(0.02)


BENCH = Bench(measure)
