"""Emulated motors in front of a MuJoCo world: the hand that needs no hand, down to the wire."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from handlab.graph.config import GraphConfig, on_machine
from handlab.graph.processes import BackgroundGraph
from handlab_core.errors import BadConfig, StationFault
from handlab_core.hands import make_hand
from handlab_core.hands.servo import make_servos
from handlab_core.hardware.backend_table import emulator_spec, load
from handlab_core.objects.fixture import BARE, FIXTURE_SERVO, FIXTURES
from handlab_core.system.scheduling import use_realtime_priority
from handlab_core.tasks import make_task
from handlab_core.worlds.world import World
from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.emulator import DEFAULT_BUS, EmulatedHand, check_free
from handlab_hardware.allegro.emulator import serve as serve_hand
from handlab_hardware.dynamixel.emulator import EmulatedPort, EmulatorConfig, emulate
from handlab_hardware.dynamixel.emulator.backend_physics import STEP, BackendPhysics, ServoJoint
from handlab_hardware.dynamixel.emulator.firmware.loop import LoopConfig
from handlab_hardware.dynamixel.emulator.physics import Goals, Motion, Physics
from handlab_hardware.station_file import (
    OWN_CALIBRATION,
    DynamixelSection,
    StationFile,
    load_station,
    station_path,
)
from handlab_sim.backend import MujocoBackend
from handlab_sim.scene import SceneConfig
from handlab_sim.torque_world import TorqueWorld

BUS_BACKEND = "dynamixel"
"""Backend of the servos that `emulated_graph` serves."""


class Emulated(Protocol):
    """Motors that are emulated."""

    @property
    def name(self) -> str:
        """Path or interface that they are found at."""
        ...

    def start(self) -> "Emulated":
        """Serve from a thread."""
        ...

    def close(self) -> None:
        """Stop. Twice is harmless."""
        ...


def emulate_dynamixel(
    station: Path,
    port: str | Path,
    seed: int = 0,
    loop: LoopConfig | None = None,
    world: World | None = None,
    timestep: float = STEP,
) -> EmulatedPort:
    """Emulate the servos of a station file; what they turn is a simulated hand and object.

    Args:
        station: path of the file; its servos, ids, zeros and directions are taken.
        port: a stable name for the pseudo-terminal; faults are taken beside it (docs/emulator.md).
        seed: of faults that are left to chance.
        loop: what the servos live in; None: its defaults.
        world: parameters of hand, object and signals; None: those of the descriptions.
        timestep: s; step of the physics.

    Raises:
        BadConfig: the file names no servos.
    """
    facts = load_station(station, nominal=True)
    section = _servos_of(facts)
    hand, fixture = make_hand(facts.hand), FIXTURES.make(facts.fixture)
    joints = [
        ServoJoint(
            0 if servo.joint == fixture.joint else hand.index(servo.joint),
            servo.joint == fixture.joint,
            servo.zero,
            servo.direction,
        )
        for servo in section.servos
    ]
    models = [servo.model for servo in section.servos]
    worlds = None if world is None else [world]
    simulated = MujocoBackend(hand, fixture, config=SceneConfig(timestep=timestep), worlds=worlds)
    physics = BackendPhysics(simulated, joints, models, timestep)
    return _emulate_servos(section, Path(port), physics, seed, loop)


class EmulatedAllegro:
    """An Allegro hand on a CAN bus and the fixture's servo on a port, over one simulated object.

    Args:
        station: path of the station file.
        bus: `interface:channel` for the hand.
        port: a stable name for the fixture's pseudo-terminal; a station without a fixture has none.
        seed: of the servo's faults that are left to chance.
        world: parameters of hand, object and signals; None: those of the descriptions.

    Raises:
        BadConfig: the file has no section for the hand, or other servos than the fixture's.
        StationFault: the bus cannot be opened.
    """

    def __init__(
        self,
        station: Path,
        bus: str,
        port: str | Path,
        seed: int = 0,
        world: World | None = None,
    ) -> None:
        facts = load_station(station, nominal=True)
        section = facts.dynamixel
        bare = facts.fixture == BARE and section is None
        if facts.allegro is None or not (bare or (section and len(section.servos) == 1)):
            raise BadConfig(
                f"{station} needs the section allegro, and dynamixel with the servo of the "
                f"fixture; a station without a fixture says `fixture: {BARE}`"
            )
        config = AllegroConfig.from_dict(facts.allegro)
        hand, fixture = make_hand(facts.hand), FIXTURES.make(facts.fixture)
        self.world = TorqueWorld(hand, fixture, world=world)
        interface, _, channel = bus.rpartition(":")
        interface = interface or config.interface
        self._wire = CanBus(interface, channel)
        try:
            check_free(self._wire, config.device)
        except StationFault:
            self._wire.close()
            raise
        self.name = f"an Allegro hand {config.version} on {interface}:{channel}"
        self.hand = EmulatedHand(
            self._wire.send, self.world, config.protocol, config.device, config.side
        )
        self.port: EmulatedPort | None = None
        if section is not None:
            [servo] = section.servos
            motor = FixtureMotor(self.world, servo.zero, servo.direction, servo.model.stall_torque)
            self.port = _emulate_servos(section, Path(port), motor, seed)
            self.name += f", its fixture on {port}"
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=serve_hand, args=(self.hand, self._wire, self._stop), name="emulated hand"
        )

    def start(self) -> "EmulatedAllegro":
        """Serve both from threads."""
        self._thread.start()
        if self.port is not None:
            self.port.start()
        return self

    def close(self) -> None:
        """Stop both. Twice is harmless."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.port is not None:
            self.port.close()
        self._wire.close()


class FixtureMotor:
    """The object's servo in a world whose time another wire's emulator moves.

    Implements `handlab_hardware.dynamixel.emulator.physics.Physics`: the same spring to the goal as
    in the MuJoCo backend.
    """

    period = 0.002  # s; a tenth of the time in which the object's motor settles

    def __init__(self, world: TorqueWorld, zero: float, direction: int, stall: float) -> None:
        self._world, self._zero, self._direction, self._stall = world, zero, direction, stall
        self._torque, self._stiffness = 0.0, float(make_servos(FIXTURE_SERVO, 1).stiffness[0])

    def read(self) -> Motion:
        """See `Physics.read`."""
        angle = self._zero + self._direction * self._world.object_angle
        velocity = self._direction * self._world.object_velocity
        torque = self._direction * self._torque
        values = (angle, velocity, torque, torque / self._stall)
        return Motion(*(np.array([value]) for value in values))

    def advance(self, goals: Goals) -> Motion:
        """See `Physics.advance`."""
        target = self._direction * (float(goals.position[0]) - self._zero)
        wanted = self._stiffness * (target - self._world.object_angle)
        most = float(goals.max_torque[0])
        self._torque = min(max(wanted, -most), most)
        self._world.drive_object(self._torque)
        return self.read()


def make_emulated(
    hardware: str, station: Path, port: str, fixture_port: str = "", seed: int = 0
) -> Emulated:
    """Emulate the motors of a station.

    Args:
        hardware: name of the backend in `handlab_core.hardware.backend`.
        station: path of the station file.
        port: port of the hand.
        fixture_port: port of the fixture, if the fixture has a driver of its own.
        seed: of faults that are left to chance.

    Raises:
        UnknownName: the motors cannot be emulated.
    """
    spec = emulator_spec(hardware)
    ports = (port, fixture_port) if spec.fixture_backend else (port,)
    emulated: Emulated = load(spec.emulator)(station, *ports, seed=seed)
    return emulated


def can_port(interface: str = "", channel: str = "") -> str:
    """Return the port of an emulated Allegro hand, `interface:channel`.

    Args:
        interface: of python-can; empty: the default.
        channel: of that interface; empty: the default, which only the default interface has.

    Raises:
        BadConfig: another interface is named without a channel.
    """
    interface = interface or DEFAULT_BUS[0]
    if not channel and interface != DEFAULT_BUS[0]:
        raise BadConfig(f"--interface {interface} needs --channel, as vcan0")
    return f"{interface}:{channel or DEFAULT_BUS[1]}"


def _servos_of(facts: StationFile) -> DynamixelSection:
    if facts.dynamixel is None:
        raise BadConfig(f"{facts.path} has no section `dynamixel`: there is nothing to emulate")
    return facts.dynamixel


def _emulate_servos(
    section: DynamixelSection,
    port: Path,
    physics: Physics,
    seed: int,
    loop: LoopConfig | None = None,
) -> EmulatedPort:
    if not port.name:
        raise BadConfig(f"{port} is a folder; name a file that does not exist, as the port's link")
    config = EmulatorConfig(
        ids=tuple(servo.id for servo in section.servos),
        models=tuple(servo.model.name for servo in section.servos),
        baud=section.baud,
        link=port,
        seed=seed,
        loop=loop or LoopConfig(),
    )
    servos = emulate(config, physics)
    # A new hand has not been calibrated. The link at `port` is made by now, so the name is one.
    port.with_name(port.name + OWN_CALIBRATION).unlink(missing_ok=True)
    return servos


@contextmanager
def emulated_graph(
    config: GraphConfig, folder: Path, station: Path | None = None, loop: LoopConfig | None = None
) -> Iterator[tuple[EmulatedPort, BackgroundGraph]]:
    """Start a graph on servos that are emulated in this process, which sees behind the wire.

    Args:
        config: for MuJoCo; it is given the hardware.
        folder: for port and log.
        station: path of the station file; None: the one that comes with handlab.
        loop: what the servos live in; None: its defaults.
    """
    hand = make_task(config.task).hand_name
    station, link = station or station_path(hand), folder / "port"
    config = on_machine(replace(config, pace="real"), BUS_BACKEND, str(station), str(link))
    with (
        emulate_dynamixel(station, link, loop=loop) as port,
        BackgroundGraph(config, folder / "nodes.log") as graph,
    ):
        yield port, graph


def serve(emulated: Emulated) -> None:
    """Serve until the process is asked to end."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    use_realtime_priority()
    emulated.start()
    try:
        ended.wait()
    finally:
        emulated.close()
