"""Hand, processes and files after a process of a running graph was killed, ended or stopped.

Each cell starts a verb, strikes one of its processes with one signal and looks at the rest:

| part     | verb                                      | asked                                    |
|----------|-------------------------------------------|------------------------------------------|
| hand     | every verb that starts a graph, most on   | the hand is let go within LIMIT, and no  |
|          | an emulated hand, whose torque is looked  | process is left LIMIT after the end      |
|          | at from behind the wire                   |                                          |
| run      | training in MuJoCo                        | `--resume` leaves each iteration once    |
| learning | a run that learns from all its episodes,  | no iteration and no episode is lost or   |
|          | killed at random moments                  | there twice; the learner has every bit   |

A stopped process (SIGSTOP) goes on after some seconds. The hand is let go meanwhile, and no
iteration is learned; then the hand is engaged again, and the verb goes on.

The measurement takes half an hour. Cells that were measured are kept in a file until all are; the
same command goes on with the others. A result keeps the cells of earlier ones that it did not
measure.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from handlab.benches.journal import journal
from handlab.benches.kept import chosen, kept
from handlab.benches.killing.cells import strike_run, strike_with_hand
from handlab.benches.killing.learning import LEARNERS, PART, strike_learning
from handlab.benches.killing.processes import SIGNALS, Case
from handlab.benches.killing.verbs import RUNS, WITH_HAND, Verb
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.system.validation import Count, Flag, Index, Text, checked
from handlab_core.system.workers import worker_pool

NAME = "kill"
PARTS = ("hand", "run", PART)
VICTIMS = sorted({victim for verb in (*WITH_HAND, *RUNS) for victim in verb.victims})
PARTING = 2.0
"""Seconds for a worker to end what it has started."""
POOLS = 3
"""Pools of workers; another one is made when a worker has died."""


@checked
class KillOptions:
    """Options of the bench."""

    parts: Annotated[
        Text, Field(description=f"Parts, separated by commas; empty: {', '.join(PARTS)}")
    ] = ""
    victims: Annotated[
        Text, Field(description="Processes to strike, separated by commas; empty: all")
    ] = ""
    signals: Annotated[
        Text, Field(description=f"Signals, separated by commas; empty: {', '.join(SIGNALS)}")
    ] = ""
    verbs: Annotated[
        Text, Field(description="Verbs to strike, separated by commas; empty: all")
    ] = ""
    kills: Annotated[
        Index, Field(description="Runs of the part learning, each with a kill of each process")
    ] = 10
    jobs: Annotated[Count, Field(le=64, description="Cells that run side by side")] = 2
    again: Annotated[
        Flag, Field(description="Forget the cells of a measurement that was broken off")
    ] = False


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix; in the part `learning` a run, each of whose processes is killed."""

    part: str
    verb: str
    victim: str = ""
    signal: str = ""
    number: int = 0
    """Number of the run in the part `learning`."""
    seed: int = 0

    @property
    def name(self) -> str:
        """Words that identify the cell."""
        run = f" {self.number}" if self.part == PART else ""
        return f"{self.part}: {self.verb}{run}: {self.victim} {self.signal}"


def cells(options: KillOptions, seed: int) -> list[Cell]:
    """Return the cells of a measurement, the longest first.

    Raises:
        UnknownName: an option names a part, verb, process or signal that there is not.
    """
    parts = chosen("parts", options.parts, PARTS)
    victims = chosen("victims", options.victims, VICTIMS)
    signals = chosen("signals", options.signals, SIGNALS)
    verbs = chosen("verbs", options.verbs, sorted({v.name for v in (*WITH_HAND, *RUNS)}))
    found = []
    if PART in parts and set(LEARNERS) <= set(victims) and "train" in verbs:
        runs = range(options.kills)
        found += [Cell(PART, "train --algorithm rlpd", number=n, seed=seed) for n in runs]
    for part, known in (("run", RUNS), ("hand", WITH_HAND)):
        found += [
            Cell(part, verb.name, victim, name)
            for verb in known
            for victim in verb.victims
            for name in signals
            if part in parts and verb.name in verbs and victim in victims
        ]
    return found


def strike(cell: Cell) -> list[Case]:
    """Measure one cell."""
    if cell.part == PART:
        return strike_learning(cell.seed, cell.number)
    one, known = (strike_run, RUNS) if cell.part == "run" else (strike_with_hand, WITH_HAND)
    return [one(_verb(known, cell.verb), cell.victim, cell.signal)]


def _verb(known: Sequence[Verb], name: str) -> Verb:
    return next(verb for verb in known if verb.name == name)


def measure(seed: int, options: KillOptions) -> Result:
    """Strike every process of every verb with every signal, and count the violations."""
    wanted, measured = cells(options, seed), journal(NAME, f"{seed} {options.kills}")
    if options.again:
        measured.clear()
    done = {name: [Case(**case) for case in cases] for name, cases in measured.read().items()}
    left = [cell for cell in wanted if cell.name not in done]
    if len(left) < len(wanted):
        _say(f"{len(wanted) - len(left)} cells were measured before; --again measures them again")
    began = time.monotonic()
    try:
        for number, (cell, cases, failure) in enumerate(_measured(left, options.jobs), 1):
            done[cell.name] = cases
            if not failure:
                measured.add(cell.name, [asdict(case) for case in cases])
            wrong = [text for case in cases for text in case.wrong]
            minutes = (time.monotonic() - began) / 60
            _say(
                f"{number}/{len(left)} {minutes:4.1f} min  {cell.name}  {'; '.join(wrong) or 'ok'}"
            )
    except BaseException:
        _say(f"broken off after {len(done)} of {len(wanted)} cells; the same command goes on")
        raise
    measured.clear()
    return result(with_earlier([case for cell in wanted for case in done[cell.name]]))


def with_earlier(cases: Sequence[Case]) -> list[Case]:
    """Return cases, and after them those of the last result whose cells were not measured now."""
    names = {case.name for case in cases}
    last: Any = kept(NAME, "cases")
    earlier = (Case(**case) for case in last)
    return [*cases, *(case for case in earlier if case.name not in names)]


def result(cases: Sequence[Case]) -> Result:
    """Count the violations of all cases."""
    wrong = [f"{case.name}: {text}" for case in cases for text in case.wrong]

    def slowest(times: Iterator[float | None]) -> float:
        return max((taken for taken in times if taken is not None), default=0.0)

    details = {
        "cells": len(cases),
        "slowest_let_go_s": slowest(case.let_go_s for case in cases),
        "slowest_gone_s": slowest(case.gone_s for case in cases),
        "wrong": wrong,
        "cases": [asdict(case) for case in cases],
    }
    return Result(float(len(wrong)), 0.0, "violations", details)


Measured = tuple[Cell, list[Case], bool]
"""A cell, its cases, and whether it could not be measured."""


def _measured(left: Sequence[Cell], jobs: int) -> Iterator[Measured]:
    """Measure cells side by side, in worker processes; each yields a result, whatever happens."""
    waiting = {cell.name: cell for cell in left}
    for _ in range(POOLS):
        if not waiting:
            return
        with _workers(min(jobs, len(waiting))) as submit:
            futures = {submit(strike, cell): cell for cell in waiting.values()}
            for future in as_completed(futures):
                cell = futures[future]
                try:
                    measured = cell, future.result(), False
                except (BrokenProcessPool, CancelledError):
                    continue  # measured by the next pool
                except Exception as error:  # else one cell costs all others
                    measured = cell, [_failed(cell, error)], True
                del waiting[cell.name]
                yield measured
    for cell in waiting.values():
        yield cell, [_failed(cell, "the processes that measure it have died")], True


def _failed(cell: Cell, error: object) -> Case:
    text = " ".join(str(error).split())[:400]
    name = f"{type(error).__name__}: " if isinstance(error, Exception) else ""
    return Case(
        cell.part, cell.verb, cell.victim, cell.signal, [f"cannot be measured: {name}{text}"]
    )


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[..., Any]]:
    """Yield a function that submits a call to a pool, whose workers end with the context.

    An interrupted measurement ends at once: the workers are asked to end what they started.
    """
    with worker_pool(jobs, "spawn", _begin) as pool:
        try:
            yield pool.submit
        except BaseException:
            workers = multiprocessing.active_children()
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()  # see `_begin`
            raise


def _begin() -> None:
    """Let a worker end by SIGTERM alone, and not by the terminal's Ctrl-C.

    The exception ends the verb that runs, and its emulated hand. After that nothing of the worker
    may go on: neither the pool's loop, which catches the exception, nor a thread.
    """

    def end(*_: object) -> None:
        last = threading.Timer(PARTING, os._exit, (1,))
        last.daemon = True
        last.start()
        raise SystemExit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _figure(result: Kept) -> str:
    return (
        f"{result['value']:.0f} in {result['cells']} cells; the hand let go after "
        f"{result['slowest_let_go_s']:.1f} s at the most, all processes gone after "
        f"{result['slowest_gone_s']:.1f} s"
        if "cells" in result
        else ""
    )


BENCH = Bench(
    measure,
    options=KillOptions,
    figure=Figure(
        "Each process of each verb struck by SIGHUP, SIGTERM, SIGKILL and 5 s of SIGSTOP: "
        "violations",
        "0",
        _figure,
    ),
)
