"""Measurements beside their limits, one file each; `./handlab bench NAME`."""

from handlab.benches import (
    adroit,
    bus,
    demo,
    demos,
    emulated,
    estimators,
    foam,
    graph,
    inference,
    kill,
    loop,
    pace,
    parity,
    resets,
    sim,
    soak,
    tasks,
    valve,
)
from handlab.benches.result import Result, run_bench

BENCHES = {
    "graph": graph.measure,
    "sim": sim.measure,
    "pace": pace.measure,
    "parity": parity.measure,
    "valve": valve.measure,
    "valve_strict": valve.measure_strict,
    "tasks": tasks.measure,
    "demo": demo.measure,
    "loop": loop.measure,
    "kill": kill.measure,
    "soak": soak.measure,
    "emulated": emulated.measure,
    "bus": bus.measure,
    "estimators": estimators.measure,
    "resets": resets.measure,
    "foam": foam.measure,
    "demos": demos.measure,
    "adroit": adroit.measure,
    "inference": inference.measure,
}
"""Name to the function that measures; it takes the seed and options of the command line."""

__all__ = ["BENCHES", "Result", "run_bench"]
