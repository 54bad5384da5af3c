"""Verbs whose processes are struck, and the emulated hands that they drive."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from mcap.reader import make_reader
from mcap.writer import Writer

from handlab.benches.killing.processes import SUPERVISOR
from handlab.emulation.emulated_hands import EmulatedAllegro, emulate_dynamixel
from handlab.experiments.pretrained import policy_path
from handlab.graph.calibration import calibration_of
from handlab.graph.config import GraphConfig
from handlab_core.system.paths import share
from handlab_data.bag_writer import typestore
from handlab_hardware.station_file import station_path

HAND_SERVOS = 9
DEMONSTRATIONS = "demonstrations"
"""Folder of the demonstrations for an emulated hand."""
SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}
NODES = ("driver", "estimator", "reward", "runner", "reset", "learner", "recorder")


@dataclass(frozen=True)
class Hand:
    """An emulated hand, seen from behind its wire."""

    words: Sequence[str]
    """Options by which a verb finds it."""
    engaged: Callable[[], bool]
    """Returns whether a motor of the hand has torque."""


@contextmanager
def claw(folder: Path) -> Iterator[Hand]:
    """Emulate the Dynamixel claw."""
    link = folder / "port"
    with emulate_dynamixel(station_path("claw"), link) as port:
        servos = port.bus.servos[:HAND_SERVOS]
        yield Hand(
            ["--hardware", "dynamixel", "--port", str(link)],
            lambda: any(servo.table.get("torque_enable") for servo in servos),
        )


@contextmanager
def claw_with_demonstrations(folder: Path) -> Iterator[Hand]:
    """Emulate the Dynamixel claw, and write demonstrations for it to `DEMONSTRATIONS`."""
    with claw(folder) as hand:
        config = GraphConfig(hardware="dynamixel", pace="real", port=str(folder / "port"))
        demonstrations = share() / "demos" / "valve"
        (folder / DEMONSTRATIONS).mkdir()
        for path in demonstrations.iterdir():
            copy = folder / DEMONSTRATIONS / path.name
            if path.suffix == ".mcap":
                _calibrate(path, copy, calibration_of(config))
            else:
                shutil.copy(path, copy)
        yield hand


def _calibrate(source: Path, copy: Path, calibration: str) -> None:
    """Copy a file of a bag that was recorded in a simulation, for a hand with a calibration."""
    types = typestore()
    with source.open("rb") as file, copy.open("wb") as out:
        reader, writer = make_reader(file), Writer(out)
        summary = reader.get_summary()
        assert summary is not None
        writer.start(profile="ros2")
        schemas = {
            number: writer.register_schema(schema.name, schema.encoding, schema.data)
            for number, schema in summary.schemas.items()
        }
        channels = {
            number: writer.register_channel(
                channel.topic, channel.message_encoding, schemas[channel.schema_id],
                channel.metadata,
            )
            for number, channel in summary.channels.items()
        }  # fmt: skip
        for schema, channel, message in reader.iter_messages():
            data = message.data
            if schema is not None and schema.name.endswith("/DemonstrationSession"):
                session: Any = types.deserialize_cdr(data, schema.name)
                session = replace(session, calibration=calibration)
                data = bytes(types.serialize_cdr(session, schema.name))
            writer.add_message(
                channels[channel.id], message.log_time, data, message.publish_time,
                message.sequence,
            )  # fmt: skip
        writer.finish()  # type: ignore[no-untyped-call]


@contextmanager
def allegro(folder: Path) -> Iterator[Hand]:
    """Emulate the Allegro hand, and its fixture on a port of its own."""
    facts = yaml.safe_load(station_path("allegro").read_text())
    pid = os.getpid()  # a bus that no other process joins
    channel, link = f"239.75.{pid >> 8 & 255}.{pid & 255}", folder / "port"
    facts["allegro"] |= {"interface": "udp_multicast", "channel": channel}
    facts["dynamixel"]["port"] = str(link)
    station = folder / "station.yaml"
    station.write_text(yaml.safe_dump(facts))
    motors = EmulatedAllegro(station, f"udp_multicast:{channel}", link)
    motors.start()
    try:
        yield Hand(
            ["--hardware", "allegro", "--station", str(station)], lambda: motors.hand.servo_on
        )
    finally:
        motors.close()


@dataclass(frozen=True)
class Verb:
    """A verb of the command line with options, and the processes that are struck under it."""

    name: str
    words: tuple[str, ...]
    victims: tuple[str, ...]
    hand: Callable[[Path], AbstractContextManager[Hand]] | None = None
    """Hand that it drives; None: only its processes are looked at."""
    estimator: str = "encoder"
    """Estimator of the object in the part `run`."""
    goes_on: bool = True
    """A process that stood still makes the hand move again."""


def _train(task: str, *words: str) -> tuple[str, ...]:
    settings = [w for k, v in SMALL.items() for w in ("--set", f"{k}={json.dumps(v)}")]
    return ("train", task, *settings, *words)


WITH_HAND = (
    Verb("train", _train("valve"), (SUPERVISOR, *NODES), claw),
    Verb("train --viewer", _train("valve", "--viewer"), ("viewer",), claw),
    Verb("train --compose", _train("valve", "--compose"), ("container", "driver"), claw),
    Verb(
        "train allegro_valve", _train("allegro_valve"), (SUPERVISOR, "driver", "fixture_driver"),
        allegro,
    ),
    Verb(
        "train --port emulated",
        _train("valve", "--hardware", "dynamixel", "--port", "emulated"),
        (SUPERVISOR, "emulator"),
    ),
    Verb(
        "record --teacher person",
        ("record", "valve", "--teacher", "person", "--episodes", "3", "--bag", "bag"),
        (SUPERVISOR, "driver", "demonstrator", "recorder"),
        claw,
        goes_on=False,  # a person guides a hand that is let go
    ),
    Verb(
        "record --teacher script",
        ("record", "valve", "--teacher", "script", "--episodes", "50", "--bag", "bag"),
        (SUPERVISOR, "demonstrator", "teacher"),
    ),
    Verb(
        "replay --on hand",
        (
            "replay", str(share() / "demos" / "valve"), "--on", "hand", "--no-viewer", "--scene",
        ),
        (SUPERVISOR, "driver", "replay", "scene"),  # in MuJoCo, as they were recorded
    ),
    Verb(
        "replay --on hand --hardware dynamixel",
        ("replay", DEMONSTRATIONS, "--on", "hand", "--no-viewer"),
        (SUPERVISOR, "driver", "replay", "reset", "estimator", "reward"),
        claw_with_demonstrations,
    ),
    Verb(
        "evaluate --hardware dynamixel",
        ("evaluate", str(policy_path("valve")), "--episodes", "1000"),
        (SUPERVISOR, "driver", "runner", "learner", "reset", "estimator", "reward"),
        claw,
    ),
    Verb(
        "up --viewer --scene",
        ("up", "valve", "--viewer", "--scene", "--estimator", "camera"),
        (SUPERVISOR, "driver", "camera", "viewer", "scene", "recorder"),
    ),
)  # fmt: skip
"""Verbs of the part `hand`."""

RUNS = (
    Verb("train", (), (SUPERVISOR, *NODES)),
    Verb("train --estimator camera", (), ("camera",), estimator="camera"),
    Verb("train --compose", ("--compose",), ("container",)),
)
"""Verbs of the part `run`; the words follow those that resume a run."""
