"""Table of backends, by name, with the capabilities of each.

Nothing of a backend is imported before it is built.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from handlab_core.errors import UnknownName

PortKind = Literal["", "serial", "can"]
"""Form of a port: none, the path of a serial port, or `interface:channel` of python-can."""

DEFAULT = "mujoco"
"""Backend that serves where none is named."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Capabilities of one kind of backend; all other code asks for these, never for its name."""

    factory: str
    """`module:function`, which takes the names `hand` and `fixture`, and the arguments below."""
    simulated: bool = False
    """Whether the backend owns its time: it waits for commands and places the object at once.

    Its factory takes `num_envs` (number of robots), `threads`, `worlds` (one World for each
    robot, or None) and `after` (s, stamp at which an earlier backend stopped, or None).
    """
    station_file: bool = False
    """Whether its factory takes `station`, the path of a station file, and `port`, its port."""
    port: PortKind = ""
    fixture_backend: str = ""
    """Backend that serves the fixture in a driver of its own; empty: this one serves it."""
    emulator: str = ""
    """`module:function` that builds an emulator of the motors; it takes the path of the station
    file, one port for each driver of the station, and `seed`. Empty: there is no emulator."""
    emulated_hand: str = ""
    """Hand whose station file an emulator uses by default."""

    @property
    def learning_pace(self) -> str:
        """Pace of learning: lockstep if the backend can wait for the learner."""
        return "lockstep" if self.simulated else "real"


BACKENDS = {
    "allegro": BackendSpec(
        "handlab_hardware.allegro.backend:make_backend",
        station_file=True,
        port="can",
        fixture_backend="dynamixel",
        emulator="handlab.emulation.emulated_hands:EmulatedAllegro",
        emulated_hand="allegro",
    ),
    "dynamixel": BackendSpec(
        "handlab_hardware.dynamixel.backend:make_backend",
        station_file=True,
        port="serial",
        emulator="handlab.emulation.emulated_hands:emulate_dynamixel",
        emulated_hand="claw",
    ),
    "mujoco": BackendSpec("handlab_sim.backend:make_backend", simulated=True),
    "mujoco_gpu": BackendSpec("handlab_sim.backend:make_gpu_backend", simulated=True),
}
"""Backends by name; a new backend is one entry."""


def backend_spec(name: str) -> BackendSpec:
    """Return the capabilities of the backend called `name`.

    Raises:
        UnknownName: no backend has this name; the message lists all names.
    """
    if name not in BACKENDS:
        raise UnknownName("hardware", name, BACKENDS)
    return BACKENDS[name]


def emulator_spec(name: str) -> BackendSpec:
    """Return the capabilities of a backend whose motors can be emulated.

    Raises:
        UnknownName: no such backend; the message lists those that there are.
    """
    emulated = [known for known, spec in BACKENDS.items() if spec.emulator]
    if name not in emulated:
        raise UnknownName("wire", name, emulated)
    return BACKENDS[name]


def load(reference: str) -> Any:
    """Import the object that `module:name` refers to."""
    module, name = reference.split(":")
    return getattr(import_module(module), name)
