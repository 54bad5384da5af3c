"""Strike one process of one verb with one signal, and look at hand, processes and files."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from handlab.benches.killing.processes import (
    LIMIT,
    SUPERVISOR,
    Case,
    RunningVerb,
    running,
    strike,
    until_gone,
)
from handlab.benches.killing.verbs import SMALL, Hand, Verb
from handlab.experiments.training import new_run
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

STOPPED_FOR = 5.0
"""Seconds for which a process is stopped."""
GOES_ON = 60.0
"""Seconds until the hand moves again after a process that stood still has gone on."""


def strike_with_hand(verb: Verb, victim: str, name: str) -> Case:
    """Strike a process while a verb moves an emulated hand, or while it merely runs."""
    case = Case("hand", verb.name, victim, name)
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        hand = None if verb.hand is None else stack.enter_context(verb.hand(folder))
        words = [*verb.words, *(hand.words if hand else ())]
        run = stack.enter_context(running(words, folder))
        nodes = [known for known in verb.victims if known != SUPERVISOR]
        for node in nodes:
            run.await_ready(node)
        if hand is not None:
            run.wait(hand.engaged, "the hand to be engaged")
        struck, processes = run.await_ready(victim), run.tree()
        began = time.monotonic()
        strike(struck, name)
        if name == "SIGSTOP":
            _stand_still(case, verb, hand, run, struck, began)
            processes, began = run.tree(), time.monotonic()
            run.process.terminate()
        if hand is not None:
            took = _until_let_go(hand, began, case)
            case.let_go_s = took if case.let_go_s is None else max(took, case.let_go_s)
        case.gone_s = until_gone(processes, began, case)
        _look_at_output(case, run)
    return case


def _stand_still(
    case: Case,
    verb: Verb,
    hand: Hand | None,
    run: RunningVerb,
    struck: psutil.Process,
    began: float,
) -> None:
    """Look at the hand while a process stands still; let it go on, and the verb with it."""
    if hand is not None:
        case.let_go_s = _until_let_go(hand, began, case)
    time.sleep(max(0.0, began + STOPPED_FOR - time.monotonic()))
    if hand is not None and hand.engaged():
        case.wrong.append("the hand is engaged while the process stands still")
    strike(struck, "SIGCONT")
    if hand is not None and verb.goes_on:
        run.wait(hand.engaged, "the hand to be engaged again", GOES_ON)
    else:
        time.sleep(LIMIT)
    if (code := run.process.poll()) is not None:
        case.wrong.append(f"the verb ended with code {code}: {run.last_words()}")


def strike_run(verb: Verb, victim: str, name: str) -> Case:
    """Strike a process of a run in MuJoCo, resume the run, and look at its metrics."""
    case = Case("run", verb.name, victim, name)
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = Path(scratch)
        result = unevaluated_run(folder, settings=SMALL, estimator=verb.estimator)
        with running([*resuming(result), *verb.words], folder) as run:
            learn_more(run, result)
            struck, processes = run.await_ready(victim), run.tree()
            began = time.monotonic()
            strike(struck, name)
            if name == "SIGSTOP":
                _stop_learning(case, result, struck, began)
                learn_more(run, result)
                began = time.monotonic()
                run.process.terminate()
            case.gone_s = until_gone(processes, began, case)
            _look_at_output(case, run)
        with running([*resuming(result), *verb.words], folder) as run:
            learn_more(run, result)
            began, processes = time.monotonic(), run.tree()
            run.process.terminate()
            case.gone_s = max(case.gone_s, until_gone(processes, began, case))
            _look_at_output(case, run)
        numbers = [row["iteration"] for row in result.metrics()]
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            case.wrong.append(f"iterations in metrics.jsonl: {numbers}")
    return case


def unevaluated_run(folder: Path, **options: Any) -> RunFolder:
    """Make a run that goes on until it is broken off, and is not evaluated meanwhile."""
    long = RunConfig(until="hours", evaluate_every=1000, evaluation_episodes=1, **options)
    return new_run(long, folder)


def learn_more(run: RunningVerb, folder: RunFolder) -> None:
    """Wait until two more iterations have been learned."""
    before = rows(folder)
    run.wait(lambda: rows(folder) > before + 1, "two iterations")


def _stop_learning(case: Case, run: RunFolder, struck: psutil.Process, began: float) -> None:
    """Count the iterations that end while a process stands still; let it go on."""
    time.sleep(max(0.0, began + LIMIT - time.monotonic()))
    before = rows(run)
    time.sleep(max(0.0, began + STOPPED_FOR - time.monotonic()))
    if (more := rows(run) - before) > 0:
        case.wrong.append(f"{more} iterations were learned while the process stood still")
    strike(struck, "SIGCONT")


def rows(folder: RunFolder) -> int:
    """Return the number of iterations in the metrics, without an unfinished line."""
    return folder.metrics_path.read_text().count("\n") if folder.metrics_path.exists() else 0


def resuming(folder: RunFolder) -> list[str]:
    """Return the words of the command line that resume a run."""
    return ["train", "--resume", str(folder.path)]


def _until_let_go(hand: Hand, began: float, case: Case) -> float:
    """Wait until the hand is limp; return how long that took [s]."""
    while hand.engaged() and time.monotonic() < began + 2 * LIMIT:
        time.sleep(0.01)
    took = time.monotonic() - began
    if took > LIMIT:
        case.wrong.append(f"the hand was let go after {took:.1f} s")
    return took


def _look_at_output(case: Case, run: RunningVerb) -> None:
    """People read one line about a death, and no traceback."""
    text = run.said.read_text(errors="replace")
    if "Traceback" in text:
        case.wrong.append(
            f"a traceback: {' '.join(text[text.index('Traceback') :].split())[-300:]}"
        )
