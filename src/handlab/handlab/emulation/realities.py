"""Realities: hands whose parameters were drawn once and that no training code reads.

They stand for real hands in the measurement of transfer. Only the emulator and the benches import
this module; a test follows all imports.

The parameters lie in these ranges, most of them with a uniformly distributed logarithm. Gain,
damping, armature and the object's values are times those of the descriptions.

| parameter                            | claws                        | Allegro hands              |
|--------------------------------------|------------------------------|----------------------------|
| gain, of an Allegro hand the torque  | 0.5 to 2.2                   | 0.7 to 1.4                 |
| damping; armature                    | 0.3 to 1.5; 0.6 to 1.9       | 0.4 to 1.5; 0.6 to 1.9     |
| differences between joints           | 15 %                         | 10 %                       |
| dry friction of a joint              | 0.012 to 0.033 N m           | 0.004 to 0.015 N m         |
| backlash; error of a zero            | 0 to 0.003 rad; 0.02 rad     | none; 0.02 rad             |
| delay of a servo                     | 5 to 22 ms                   | 1 to 6 ms                  |
| latency, jitter and loss of answers  | 6 ms, 3 ms and 1 % at most   | 5 ms at most, none, none   |
| noise of angles; of the object's     | 1 % of the range; 0.03 rad   | 0.5 %; 0.03 rad            |
| object: size, mass, friction, damping | 0.9 to 1.1, 0.7 to 1.8      | 0.92 to 1.08, 0.7 to 1.8   |
| sliding friction of all surfaces     | 0.85 to 1.4                  | 0.8 to 1.4                 |
| mount                                | 8 mm                         | 6 mm                       |
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from handlab.emulation.emulated_hands import Emulated, EmulatedAllegro, emulate_dynamixel
from handlab_core.errors import BadConfig
from handlab_core.hands.servo import ServoParameters
from handlab_core.system.files import read_text
from handlab_core.system.paths import share
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.worlds.world import Signals, World
from handlab_hardware.dynamixel.emulator import EmulatedPort, Fault
from handlab_hardware.station_file import station_path

CHECKSUM = "d4fdd3c92d4656114f0a766f70a038110714173423d49708e16412821aa38294"
"""SHA-256 of the file; other hands would be other figures."""

TIMESTEP = 0.002  # s; step of the claws' physics, short enough for delays of milliseconds

CLAW, ALLEGRO = "claw", "allegro"
WIRES = {"dynamixel": CLAW, "allegro": ALLEGRO}
"""Hand by the backend that drives it."""


@cache
def realities(hand: str) -> tuple[World, ...]:
    """Return the worlds of all realities of a hand: ten claws, four Allegro hands.

    Raises:
        BadConfig: the file is not the one that the figures were made with.
    """
    path = share() / "config" / "realities.json"
    text = read_text(path, BadConfig)
    if hashlib.sha256(text.encode()).hexdigest() != CHECKSUM:
        raise BadConfig(f"{path} was changed; restore it from the repository")
    known = json.loads(text)[f"{hand}s"]
    return tuple(_world(data, number) for number, data in enumerate(known))


def reality(hand: str, number: int) -> World:
    """Return the world of one reality.

    Raises:
        BadConfig: there is no such reality.
    """
    known = realities(hand)
    if not 0 <= number < len(known):
        raise BadConfig(f"reality {number} of {hand}: choose a number from 0 to {len(known) - 1}")
    return known[number]


def emulate_claw(number: int, port: str | Path, station: Path | None = None) -> EmulatedPort:
    """Emulate one of the claws, down to the wire; its answers come late, and some are lost."""
    world = reality(CLAW, number)
    signals = world.signals
    # The wire itself has latency, jitter and loss; the sensors have noise.
    behind = replace(world, signals=replace(signals, latency=0.0, jitter=0.0, loss=0.0))
    station = station or station_path(CLAW)
    servos = emulate_dynamixel(station, port, number, world=behind, timestep=TIMESTEP)
    late = signals.latency + signals.jitter / 2
    servos.inject(Fault("delay", seconds=late))
    servos.inject(Fault("drop", probability=signals.loss))
    return servos


def emulate_allegro(
    number: int, bus: str, port: str | Path, station: Path | None = None
) -> EmulatedAllegro:
    """Emulate one of the Allegro hands, down to its frames, with the valve's servo on a port."""
    world = reality(ALLEGRO, number)
    return EmulatedAllegro(station or station_path(ALLEGRO), bus, port, number, world)


def emulate_reality(
    wire: str, number: int, station: Path, port: str, fixture_port: str = ""
) -> Emulated:
    """Emulate one of the realities of a hand.

    Args:
        wire: name of a backend whose motors can be emulated.
        number: number of the reality.
        station: path of the station file.
        port: port of the hand.
        fixture_port: port of the fixture, if the fixture has a driver of its own.

    Raises:
        BadConfig: there is no such reality.
    """
    if WIRES[wire] == CLAW:
        return emulate_claw(number, port, station)
    return emulate_allegro(number, port, fixture_port, station)


def _world(data: Mapping[str, Mapping[str, Any]], number: int) -> World:
    servos = {name: np.array(values) for name, values in data["servos"].items()}
    scale, mass, friction, damping = data["world"]["object"]
    slide, torsion, roll = data["world"]["contact"]
    x, y, z = data["world"]["mount"]
    return World(
        ServoParameters(**servos),
        ObjectVariation(scale=scale, mass=mass, friction=friction, damping=damping),
        (slide, torsion, roll),
        data["world"]["hand_mass"][0],
        (x, y, z),
        Signals(**data["signals"], stream=(number,)),
    )
