"""Episodes of a simulation as a bag holds them: states, commands and readings, to the last bit."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from handlab_core.errors import BadDemonstrations
from handlab_core.types import NS_PER_S, Array
from handlab_data.bag_messages import FIXTURE_STATES, GOAL, HAND_STATES, place

SIMULATION_STATE, HAND_SENT = "simulation/state", "hand/joint_commands_sent"
EPISODE, DESCRIPTION = "episode", "robot_description"
"""Further ends of the topics' names, as in `handlab_nodes.messages.topics`, which needs ROS."""

NEEDED = (SIMULATION_STATE, HAND_SENT, HAND_STATES, FIXTURE_STATES, EPISODE, GOAL, DESCRIPTION)

ROBOT = re.compile(r'<robot[^>]* name="([a-z0-9]+)_(\w+)"')
"""Names of hand and fixture in the description of a station; `handlab_sim.urdf.station_urdf`."""


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode of T steps."""

    number: int
    success: bool
    begin: int  # ns; stamp of the state from which it began
    state: Array  # (s,); state of the simulation then
    stamps: tuple[int, ...]  # ns, T; of the readings after the steps
    commands: Array  # (T, n, 2); rad and N m, as sent
    hand: Array  # (T, n, 3); rad, rad/s, N m
    fixture: Array  # (T, 1, 3)


@dataclass
class FlightRecord:
    """The episodes of a bag.

    Attributes:
        hand: name of the hand.
        fixture: name of the fixture.
        episodes: whole episodes.
        partial: numbers of episodes of which the bag holds a part only.
    """

    hand: str
    fixture: str
    episodes: list[RecordedEpisode] = field(default_factory=list)
    partial: list[int] = field(default_factory=list)


def read_flight_record(path: Path) -> FlightRecord:
    """Read the episodes of a bag of a simulation.

    Raises:
        BadDemonstrations: there is no such bag, or it holds no episode that can be replayed.
    """
    try:
        with AnyReader([path]) as reader:
            found = _gathered(reader)
    except BadDemonstrations:
        raise
    except Exception as error:  # whatever the bytes lead to
        text = " ".join(str(error).split())[:200]
        raise BadDemonstrations(f"{path} cannot be read: {text}") from error
    if missing := [name for name in (SIMULATION_STATE, EPISODE, DESCRIPTION) if not found[name]]:
        raise BadDemonstrations(
            f"{path} has nothing on {', '.join(missing)}: only episodes that a simulation in "
            "lockstep ran, with a recorder beside it, can be replayed exactly"
        )
    names = ROBOT.search(found[DESCRIPTION][-1].data)
    if names is None:
        raise BadDemonstrations(f"{path}: its robot_description names no hand and fixture of ours")
    record = FlightRecord(names[1], names[2])
    states = {round(m.data[0] * NS_PER_S): np.array(m.data[1:]) for m in found[SIMULATION_STATE]}
    hands = {_stamp(m): _columns(m) for m in found[HAND_STATES]}
    fixtures = {_stamp(m): _columns(m) for m in found[FIXTURE_STATES]}
    sent = {_stamp(m): np.stack([m.position, m.effort], axis=1) for m in found[HAND_SENT]}
    goals: dict[int, list[int]] = {}
    for goal in found[GOAL]:
        goals.setdefault(int(goal.episode), []).append(_stamp(goal))
    order = sorted(hands)
    for episode in found[EPISODE]:
        number = int(episode.episode)
        begins = [stamp for stamp in goals.get(number, []) if stamp in states]
        begin = max(begins, default=None)
        stamps = [] if begin is None else [s for s in order if s > begin][: int(episode.steps)]
        whole = len(stamps) == episode.steps and all(s in sent and s in fixtures for s in stamps)
        if begin is None or not whole:
            record.partial.append(number)
            continue
        record.episodes.append(
            RecordedEpisode(
                number,
                bool(episode.success),
                begin,
                states[begin],
                tuple(stamps),
                *(np.array([table[s] for s in stamps]) for table in (sent, hands, fixtures)),
            )
        )
    if not record.episodes:
        raise BadDemonstrations(f"{path} holds no whole episode; parts of {record.partial[:10]}")
    return record


def _gathered(reader: AnyReader) -> dict[str, list[Any]]:
    """Return the messages of the needed topics, in order."""
    found: dict[str, list[Any]] = {name: [] for name in NEEDED}
    ends = {
        connection.id: found_place[1]
        for connection in reader.connections
        if (found_place := place(connection.topic, NEEDED)) is not None
    }
    wanted = [connection for connection in reader.connections if connection.id in ends]
    for connection, _, data in reader.messages(wanted):
        found[ends[connection.id]].append(reader.deserialize(data, connection.msgtype))
    return found


def _stamp(message: Any) -> int:
    """Return the stamp of a message, ns."""
    return int(message.header.stamp.sec * NS_PER_S + message.header.stamp.nanosec)


def _columns(message: Any) -> Array:
    return np.stack([message.position, message.velocity, message.effort], axis=1)
