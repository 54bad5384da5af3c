"""Realities: the file is the kept one, no training reads it, and the wire has its parameters."""

import ast
import time
from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from handlab.emulation import realities
from handlab.emulation.realities import ALLEGRO, CLAW
from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.hardware.backend import make_backend
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.paths import share
from handlab_core.types import Command
from handlab_core.worlds.levels import ROWS
from handlab_core.worlds.world import World
from handlab_sim.torque_world import TIMESTEP, TorqueWorld

ROOM = "handlab.emulation.realities"
READERS = {
    "handlab.benches.wire.identification", "handlab.benches.wire.simulated_claws",
    "handlab.benches.wire.transfer", "handlab.benches.wire.transfer_job",
    "handlab.cli.graph.emulate",
}  # fmt: skip
"""Modules that import the realities: benches, and the verb that starts the emulator."""
TRAINING = (
    "handlab.experiments", "handlab.teaching", "handlab.identification", "handlab.gym",
    "handlab.graph", "handlab_core", "handlab_data", "handlab_learning", "handlab_nodes",
    "handlab_sim",
)  # fmt: skip
"""Beginnings of the names of modules that train policies or collect what they are trained with."""


def test_ten_claws_and_four_allegro_hands_that_all_differ():
    for hand, count in ((CLAW, 10), (ALLEGRO, 4)):
        known = realities.realities(hand)
        assert len(known) == count
        gains = np.array([world.servos.gain for world in known])
        assert len(np.unique(gains)) == gains.size
        assert len({world.object for world in known}) == count
        assert len({world.signals.latency for world in known}) == count
        own = make_hand(hand).servos
        assert (0.5 * own.gain < gains).all() and (gains < 2.3 * own.gain).all()


def test_a_changed_file_is_refused(monkeypatch):
    realities.realities.cache_clear()
    monkeypatch.setattr(realities, "CHECKSUM", "0" * 64)
    with pytest.raises(BadConfig, match="was changed"):
        realities.realities(CLAW)


@pytest.mark.parametrize("hand, number", [(CLAW, 10), (CLAW, -1), (ALLEGRO, 4)])
def test_a_reality_that_is_not_there_is_refused(hand, number):
    with pytest.raises(BadConfig, match="choose a number from 0"):
        realities.reality(hand, number)


@cache
def _imports():
    """Return the modules of this project that each module imports."""
    found = {}
    files = list((share() / "src").glob("*/handlab*/**/*.py"))
    for path in files:
        parts = path.relative_to(share() / "src").with_suffix("").parts[1:]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    names = {}
    for name, path in found.items():
        text, named = path.read_text(), set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named.add(node.module or "")
                named |= {f"{node.module}.{alias.name}" for alias in node.names}
        if ROOM in text or "realities.json" in text:  # also names in strings, imported later
            named.add(ROOM)
        names[name] = {other for other in named if other in found} - {name}
    return names


def test_nothing_but_benches_and_the_emulator_imports_realities():
    assert {name for name, imports in _imports().items() if ROOM in imports} == READERS


def test_no_imports_lead_from_training_to_the_realities():
    leads = {ROOM}
    while more := {name for name, others in _imports().items() if others & leads} - leads:
        leads |= more
    assert not [name for name in leads if name.startswith(TRAINING)]
    assert "handlab.benches.table" in leads  # the walk does follow imports


def test_some_realities_lie_outside_all_that_training_draws():
    own = make_hand(CLAW).servos
    most = {name: float(ROWS[name].full.split(":")[1]) for name in ("servo.gain", "servo.friction")}
    assert [
        world for world in realities.realities(CLAW)
        if (world.servos.gain / own.gain > most["servo.gain"]).any()
        or (world.servos.coulomb > most["servo.friction"]).any()
    ]  # fmt: skip


def test_answers_of_an_emulated_claw_are_late_and_some_are_lost(tmp_path):
    number, count = 7, 2000
    signals = realities.reality(CLAW, number).signals
    with realities.emulate_claw(number, tmp_path / "port") as port:
        deadline = time.monotonic() + 60.0
        while port.bus.faults.quiet and time.monotonic() < deadline:
            time.sleep(0.01)
        arrivals = [port.bus.faults.distort((10,), b"answer") for _ in range(count)]
    lost = sum(not arrival for arrival in arrivals) / count
    delays = {delay for arrival in arrivals for delay, _ in arrival}
    assert lost == pytest.approx(signals.loss, abs=0.006) and lost > 0.0
    assert delays == {signals.latency + signals.jitter / 2}


def test_an_emulated_claw_is_as_soft_as_its_reality(tmp_path):
    """Through the wire, the softer of two claws follows a step later and less far."""
    soft, stiff = 5, 8
    moved = {}
    for number in (soft, stiff):
        port = tmp_path / f"port{number}"
        with realities.emulate_claw(number, port):
            backend = make_backend("dynamixel", hand=CLAW, fixture="valve", port=str(port))
            try:
                moved[number] = _lift(backend)
            finally:
                backend.close()
    assert moved[soft] < 0.8 * moved[stiff]


def _lift(backend):
    """Return the way, rad, of the middle joints 80 ms after a step of 0.3 rad."""
    hand = make_hand(CLAW)
    backend.activate()
    start = backend.read().hand.q
    target = start.copy()
    target[0, 1::3] -= 0.3
    effort = np.broadcast_to(hand.max_effort, (1, hand.n))
    backend.prepare(effort, np.zeros((1, 1)))
    ways = defaultdict(float)
    began = time.monotonic()
    while (now := time.monotonic() - began) < 0.12:
        reading = backend.step(Command(target, effort), None, 0.01)
        ways[round(now, 2)] = float(np.abs(reading.hand.q - start)[0, 1::3].mean())
        time.sleep(0.005)
    backend.deactivate()
    return np.interp(0.08, sorted(ways), [ways[at] for at in sorted(ways)])


def test_an_allegro_hand_is_as_strong_as_its_reality():
    """The same torque moves a hand as its motors, rotors and friction do; its zero is wrong."""
    hand, valve = make_hand(ALLEGRO), FIXTURES.make("valve")
    torque = np.zeros(hand.n)
    torque[[1, 5, 9]] = 0.05
    for world in realities.realities(ALLEGRO):
        own, other = TorqueWorld(hand, valve), TorqueWorld(hand, valve, world=world)
        for _ in range(40):
            q, qd = own.step(torque, TIMESTEP)
            measured, speed = other.step(torque, TIMESTEP)
        servos, described = world.servos, hand.servos
        push = 0.05 * servos.gain / described.gain - servos.coulomb
        expected = push / servos.viscous / (0.05 / described.viscous)
        assert speed[5] / qd[5] == pytest.approx(expected[5], rel=0.6)
        assert abs(measured[0] - q[0] - servos.zero[0]) < 0.02


def test_a_delay_of_the_motors_delays_a_torque_world():
    hand, valve = make_hand(ALLEGRO), FIXTURES.make("valve")
    servos = realities.reality(ALLEGRO, 0).servos
    assert servos.delay[0] == 0.005
    driven, free = (TorqueWorld(hand, valve, world=World(servos)) for _ in range(2))
    torque, none = np.full(hand.n, 0.1), np.zeros(hand.n)
    ways = [driven.step(torque, TIMESTEP)[1] - free.step(none, TIMESTEP)[1] for _ in range(10)]
    assert np.abs(ways[3]).max() == 0.0 < np.abs(ways[8]).max()
