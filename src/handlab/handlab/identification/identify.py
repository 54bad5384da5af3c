"""`identify`: record a safe motion of a hand, fit its servos, and write file, bag and page."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handlab.identification.motion import Mover
from handlab.reporting.identification_page import write_page
from handlab_core.hands import Hand, make_hand
from handlab_core.hardware.backend import Backend, make_backend
from handlab_core.hardware.backend_table import backend_spec
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.options import EMULATED
from handlab_core.types import NS_PER_S
from handlab_core.worlds.excitation import DURATION, Recording, excite
from handlab_core.worlds.fitted import (
    QUANTITIES,
    SUFFIX,
    Estimate,
    HandFit,
    JointFit,
    write_fit,
)
from handlab_data.bag_writer import BagWriter, typestore
from handlab_hardware.station_file import fitted_file, load_station, station_path
from handlab_sim.backend import MujocoBackend
from handlab_sim.identification.fit import ServoFit, fit_servos
from handlab_sim.identification.motion_model import TIMESTEP
from handlab_sim.identification.safe_motion import safe_motion

if TYPE_CHECKING:
    from handlab.emulation.emulated_hands import Emulated
    from handlab_hardware.dynamixel.emulator import EmulatedPort

AMPLITUDE = 0.4  # rad; largest amplitude that is tried; chosen
JOINT_STATE = "sensor_msgs/msg/JointState"
STATES, SENT = "/hand/joint_states", "/hand/joint_commands_sent"


@dataclass(frozen=True)
class Identified:
    """Result of an identification."""

    fit: HandFit
    file: Path
    bag: Path
    page: Path


def identify(
    station: str,
    hardware: str,
    port: str = "",
    seconds: float = DURATION,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    on_time: Callable[[float], None] = lambda seconds: None,
    folder: Path | None = None,
) -> Identified:
    """Move a hand for a minute, fit its servos, and write the results.

    Args:
        station: path of a station file, or its name in config/hands.
        hardware: name of a backend.
        port: port that replaces the station file's; EMULATED: servos emulated for this purpose.
        seconds: s; length of the excitation.
        seed: of the excitation.
        stopped: whether the operator has stopped the hand.
        on_time: called with the seconds of motion done.
        folder: for bag and page; None: a new one in recordings/.

    Raises:
        BadConfig: the station file cannot be used, or the hand has no room to move.
        StationFault: see `Mover.run`.
    """
    path = Path(station) if Path(station).suffix else station_path(station)
    facts = load_station(path)
    hand, fixture = make_hand(facts.hand), FIXTURES.make(facts.fixture)
    folder = folder or Path("recordings") / f"{datetime.now():%Y%m%d-%H%M%S}-identify-{path.stem}"
    with _opened(hardware, hand, fixture, path, port) as (backend, file):
        timestep = backend.model.opt.timestep if isinstance(backend, MujocoBackend) else TIMESTEP
        recording = record(backend, hand, fixture, seconds, seed, stopped, on_time)
    bag = folder / "bag"
    write_bag(bag, hand, recording)
    found = fit_servos(hand, recording, threads=2, timestep=timestep)
    fit = as_fit(hand, found, f"{datetime.now():%Y-%m-%d %H:%M}, {bag}")
    write_fit(file, fit)
    page = write_page(folder, hand, recording, found, fit)
    return Identified(fit, file, bag, page)


def record(
    backend: Backend,
    hand: Hand,
    fixture: Fixture,
    seconds: float = DURATION,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    on_time: Callable[[float], None] = lambda seconds: None,
) -> Recording:
    """Move the hand of a backend through an excitation; see `identify`."""
    angle = float(np.nan_to_num(backend.read().fixture.q[0, 0]))
    centre, amplitude = safe_motion(hand, fixture, np.full(hand.n, AMPLITUDE), angle)
    excitation = excite(hand, centre, amplitude, seed, seconds)
    return Mover(hand, fixture, backend, stopped, on_time).run(centre, excitation)


@contextmanager
def _opened(
    hardware: str, hand: Hand, fixture: Fixture, station: Path, port: str
) -> Iterator[tuple[Backend, Path]]:
    """Open the hand; yield it, and the file of its fit."""

    def own(kind: str) -> Path:
        return station.with_name(f"{station.stem}.{kind}{SUFFIX}")

    if not backend_spec(hardware).station_file:
        with closing(make_backend(hardware, hand=hand.name, fixture=fixture.name)) as backend:
            yield backend, own(hardware)
        return
    options = {"hand": hand.name, "fixture": fixture.name, "station": str(station)}
    if port != EMULATED:
        with closing(make_backend(hardware, **options, port=port)) as backend:
            yield backend, fitted_file(station, port)
        return
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        link = str(Path(scratch, "port"))
        with (
            closing(_motors(hardware, station, link)),
            closing(make_backend(hardware, **options, port=link)) as backend,
        ):
            yield backend, own("emulated")


def _motors(hardware: str, station: Path, link: str) -> "EmulatedPort | Emulated":
    """Start emulated motors; servos with steps of the physics as short as those of the fit."""
    from handlab.emulation import emulated_hands

    if hardware == emulated_hands.BUS_BACKEND:
        return emulated_hands.emulate_dynamixel(station, link, timestep=TIMESTEP).start()
    return emulated_hands.make_emulated(hardware, station, link).start()


def as_fit(hand: Hand, found: ServoFit, made: str) -> HandFit:
    """Return a fit as the content of its file."""
    ends = np.stack((found.value, found.low, found.high), axis=-1)

    def joint(i: int) -> JointFit:
        return JointFit(
            **{name: Estimate(*ends[i, p].tolist()) for p, name in enumerate(QUANTITIES)}
        )

    joints = {name: joint(i) for i, name in enumerate(hand.joints)}
    return HandFit(hand=hand.name, joints=joints, residual=found.residual, made=made)


def write_bag(path: Path, hand: Hand, recording: Recording) -> None:
    """Write a recording as a bag of joint states: measured ones, and commands as sent."""
    store, bag = typestore(), BagWriter(path)
    types = store.types
    kind, header = types[JOINT_STATE], types["std_msgs/msg/Header"]
    stamp, nothing = types["builtin_interfaces/msg/Time"], np.zeros(0)
    connections = {topic: bag.connect(topic, JOINT_STATE) for topic in (STATES, SENT)}
    rows = [(t, SENT, q, nothing) for t, q in zip(recording.sent_at, recording.sent, strict=True)]
    rows += [
        (t, STATES, q, effort)
        for t, q, effort in zip(recording.read_at, recording.q, recording.effort, strict=True)
    ]
    for at, topic, q, effort in sorted(rows, key=lambda row: row[0]):
        ns = round(at * NS_PER_S)
        made = kind(
            header=header(stamp=stamp(sec=ns // NS_PER_S, nanosec=ns % NS_PER_S), frame_id=""),
            name=list(hand.joints), position=q, velocity=nothing, effort=effort,
        )  # fmt: skip
        bag.write(connections[topic], ns, bytes(store.serialize_cdr(made, JOINT_STATE)))
    bag.close()
