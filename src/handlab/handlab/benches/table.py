"""All benches, by name."""

from handlab.benches.killing import kill
from handlab.benches.learning import (
    adroit,
    demo,
    demos,
    estimators,
    foam,
    local_models,
    minutes,
    minutes_beside,
    repair,
    resets,
    tasks,
    valve,
    wall,
)
from handlab.benches.running import (
    graph,
    idle,
    inference,
    interrupt,
    loop,
    pace,
    parity,
    randomise,
    sim,
    soak,
    updates,
)
from handlab.benches.wire import bus, emulated

BENCHES = {
    "minutes": minutes.BENCH,
    "minutes_beside": minutes_beside.BENCH,
    "repair": repair.BENCH,
    "valve": valve.BENCH,
    "valve_strict": valve.STRICT,
    "demo": demo.BENCH,
    "wall": wall.BENCH,
    "graph": graph.BENCH,
    "idle": idle.BENCH,
    "sim": sim.BENCH,
    "randomise": randomise.BENCH,
    "parity": parity.BENCH,
    "updates": updates.BENCH,
    "local_models": local_models.BENCH,
    "bus": bus.BENCH,
    "loop": loop.BENCH,
    "soak": soak.BENCH,
    "emulated": emulated.BENCH,
    "resets": resets.BENCH,
    "foam": foam.BENCH,
    "demos": demos.BENCH,
    "adroit": adroit.BENCH,
    "tasks": tasks.BENCH,
    "inference": inference.BENCH,
    "pace": pace.BENCH,
    "kill": kill.BENCH,
    "interrupt": interrupt.BENCH,
    "estimators": estimators.BENCH,
}
"""Benches by name, in the order of the README's figures."""
