"""Values to messages and back; the only place that knows both. One robot: N = 1."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.serialization import deserialize_message
from safetensors import SafetensorError
from safetensors import numpy as safetensors
from sensor_msgs.msg import JointState as JointStateMsg

from handlab_core.environment.episode import Episode, EpisodeKey, Outcome, RobotTime, Trajectory
from handlab_core.environment.policies.policy import Policy, check_layout, layout_json
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.estimation.detection import UNIT, Detection
from handlab_core.tasks import Task
from handlab_core.types import NS_PER_S, Array, Command, Goal, JointState
from handlab_interfaces import msg as wire

T = TypeVar("T")


MOST_NAMED = 20
"""Joints that a refusal names."""


def to_stamp(seconds: float) -> Time:
    """Convert seconds to a ROS time, to the nearest nanosecond."""
    sec, nanosec = divmod(round(float(seconds) * NS_PER_S), NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def from_stamp(stamp: Time) -> float:
    """Convert a ROS time to seconds; the inverse of `to_stamp`."""
    return float((stamp.sec * NS_PER_S + stamp.nanosec) / NS_PER_S)


def checked_stamp(stamp: Time) -> float:
    """Return a ROS time in seconds; ValueError if it is negative or has a second of nanoseconds."""
    if stamp.sec < 0 or stamp.nanosec >= NS_PER_S:
        raise ValueError(f"its stamp of {stamp.sec} s and {stamp.nanosec} ns is no time")
    return from_stamp(stamp)


def joint_state(message: JointStateMsg, names: Sequence[str]) -> JointState:
    """Read a driver's message, in the order of `names`.

    Raises:
        ValueError: its stamp is no time, its joints are others, or a number is not finite.
    """
    stamp, given = checked_stamp(message.header.stamp), list(message.name)
    if sorted(given) != sorted(names):
        raise ValueError(f"its joints are {_some(given)}, not {_some(names)}")
    arrays = message.position, message.velocity, message.effort
    sizes = [len(array) for array in arrays]
    if sizes != [len(names)] * 3:
        raise ValueError(f"{len(names)} joints, but {sizes} positions, velocities and efforts")
    order = [given.index(name) for name in names]
    q, qd, effort = (np.frombuffer(array)[order][None, :] for array in arrays)
    _check_finite(q, qd, effort)
    return JointState(np.array([stamp]), q, qd, effort)


def joints_msg(
    stamp: float, parts: Iterable[tuple[Sequence[str], JointState]], passive: Mapping[str, float]
) -> JointStateMsg:
    """Return one message of all joints of a robot, as ROS's own tools expect it.

    Args:
        stamp: s; time of the message.
        parts: names and state of each group; joints without a finite position are left out.
        passive: rad; positions of joints without a sensor, which count as at rest.
    """
    message = JointStateMsg()
    message.header.stamp = to_stamp(stamp)
    rows = [
        row
        for names, state in parts
        for row in zip(names, state.q[0], state.qd[0], state.effort[0], strict=True)
        if np.isfinite(row[1])
    ]
    rows += [(name, angle, 0.0, 0.0) for name, angle in passive.items()]
    for name, *numbers in rows:
        message.name.append(name)
        for values, number in zip(
            (message.position, message.velocity, message.effort), numbers, strict=True
        ):
            values.append(float(number))
    return message


class NamedJoints(NamedTuple):
    """A reading of any joints, by name."""

    stamp: float  # s
    positions: dict[str, float]  # rad or m
    speeds: dict[str, float]  # rad/s or m/s; empty: the message has none
    efforts: dict[str, float]  # N m or N; empty: the message has none; NaN: not known


def named_joints(message: JointStateMsg) -> NamedJoints:
    """Read a message about any joints.

    Raises:
        ValueError: its stamp is no time, a name comes twice, or a position is not finite or absent.
    """
    stamp, names = checked_stamp(message.header.stamp), list(message.name)
    if len(message.position) != len(names) or len(set(names)) != len(names):
        raise ValueError(f"{len(message.position)} positions for the joints {_some(names)}")
    _check_finite(np.frombuffer(message.position))
    speeds, efforts = (
        dict(zip(names, values, strict=True)) if len(values) == len(names) else {}
        for values in (message.velocity, message.effort)
    )
    positions = dict(zip(names, message.position.tolist(), strict=True))
    return NamedJoints(stamp, positions, speeds, efforts)


def named_efforts(message: JointStateMsg) -> tuple[float, dict[str, tuple[float, float]]]:
    """Read the stamp [s], and positions [rad or m] and efforts [N m] of any joints, by name.

    A number may be NaN, which says that it is not known.

    Raises:
        ValueError: its stamp is no time, or a joint has no position or no effort.
    """
    stamp, names = checked_stamp(message.header.stamp), list(message.name)
    sizes = len(message.position), len(message.effort)
    if sizes != (len(names), len(names)):
        raise ValueError(f"{sizes[0]} positions and {sizes[1]} efforts for {_some(names)}")
    pairs = zip(message.position.tolist(), message.effort.tolist(), strict=True)
    return stamp, dict(zip(names, pairs, strict=True))


def _some(names: Sequence[str]) -> str:
    """Return the first names, for a message."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (", ".join(names[:MOST_NAMED]) or "none") + more


def _check_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("it holds a number that is not finite")


def _sequence(row: Array) -> "array[float]":
    """Convert one robot's numbers to the array type of messages, without a list in between."""
    return array("d", row.tobytes())


def command(message: JointStateMsg, names: Sequence[str]) -> Command:
    """Read a command of any node, in the order of `names`.

    A joint that the message does not name has a NaN target, which the clamp replaces by the last
    sent target. Unknown names are left out. A missing effort is infinite: the joint's own limit
    applies.

    Raises:
        ValueError: arrays do not fit the names, a name comes twice, or none is known.
    """
    given = message.name or names
    if len(message.position) != len(given) or len(message.effort) not in (0, len(given)):
        raise ValueError(
            f"{len(given)} joints, but {len(message.position)} positions and "
            f"{len(message.effort)} efforts; every joint needs a position, all or none an effort"
        )
    if len(set(given)) != len(given):
        raise ValueError(f"a joint comes twice in {_some(given)}")
    if not set(given) & set(names):
        raise ValueError(f"none of {_some(given)} is a joint; there is: {', '.join(names)}")
    position, effort = np.frombuffer(message.position), np.frombuffer(message.effort)
    if given != names:
        place = {name: i for i, name in enumerate(given)}
        order = [place.get(name, -1) for name in names]
        position = np.append(position, np.nan)[order]
        effort = np.append(effort, np.inf)[order] if len(effort) else effort
    whole = effort if len(effort) else np.full(len(names), np.inf)
    return Command(position[None, :], whole[None, :])


def goal_msg(goal: Goal) -> wire.EpisodeGoal:
    """Convert one robot's goal to a message."""
    message = wire.EpisodeGoal(episode=int(goal.episode[0]))
    message.header.stamp = to_stamp(goal.stamp[0])
    message.angle, message.velocity = _sequence(goal.angle[0]), _sequence(goal.velocity[0])
    return message


def goal(message: wire.EpisodeGoal, angles: int | None = None) -> Goal:
    """Read a goal.

    Args:
        message: the goal.
        angles: number of angles that the task's goals have; None accepts any.

    Raises:
        ValueError: its stamp is no time, it has other angles, or a number is not finite.
    """
    stamp = checked_stamp(message.header.stamp)
    sizes = len(message.angle), len(message.velocity)
    due = max(sizes[0], 1) if angles is None else angles
    if sizes != (due, due):
        raise ValueError(
            f"it has {sizes[0]} angles and {sizes[1]} velocities; the task has {due} of each"
        )
    angle, velocity = (
        np.frombuffer(message.angle)[None, :],
        np.frombuffer(message.velocity)[None, :],
    )
    _check_finite(angle, velocity)
    return Goal(np.array([message.episode]), np.array([stamp]), angle, velocity)


DETECTION_FRAME = "world"
"""Frame of the simulated camera's detections."""

NO_DETECTION = -1.0
"""First element of the covariance of an empty detection; `sensor_msgs/Imu` marks a missing estimate
in the same way."""


def detection_msg(value: Detection) -> PoseWithCovarianceStamped:
    """Convert a detection to a message with the stamp of the picture."""
    message = PoseWithCovarianceStamped()
    message.header.frame_id, message.header.stamp = DETECTION_FRAME, to_stamp(value.stamp)
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = value.position
    orientation.w, orientation.x, orientation.y, orientation.z = value.orientation
    message.pose.covariance = value.covariance
    return message


def no_more_msg(stamp: float) -> PoseWithCovarianceStamped:
    """Return the empty detection: all detections that arrived by a time [s] have been published."""
    message = PoseWithCovarianceStamped()
    message.header.frame_id, message.header.stamp = DETECTION_FRAME, to_stamp(stamp)
    message.pose.covariance[0] = NO_DETECTION
    return message


def detection(message: PoseWithCovarianceStamped) -> Detection | float:
    """Read a detection, or the stamp [s] of an empty one.

    Raises:
        ValueError: its stamp is no time, a number is not finite, or the orientation has no length.
    """
    stamp = checked_stamp(message.header.stamp)
    covariance = tuple(message.pose.covariance.tolist())
    if covariance[0] == NO_DETECTION:
        return stamp
    place, turned = message.pose.pose.position, message.pose.pose.orientation
    position = place.x, place.y, place.z
    orientation = turned.w, turned.x, turned.y, turned.z
    _check_finite(np.array(position), np.array(orientation), np.array(covariance))
    length = float(np.linalg.norm(orientation))
    if not abs(length - 1.0) <= UNIT:
        raise ValueError(f"its orientation has length {length:g}, not 1")
    return Detection(stamp, position, orientation, covariance)


def temperatures(message: wire.HandStatus, joints: int) -> Array:
    """Read the temperatures (n,) of a hand's status [degrees Celsius]; ValueError if not n."""
    if len(message.temperature) != joints:
        raise ValueError(f"it has {len(message.temperature)} temperatures for {joints} joints")
    return np.array(message.temperature)


_EPISODE_SCALARS: Mapping[str, tuple[str, ...]] = {
    "key": ("seed", "policy_version", "deterministic"),
    "outcome": ("success", "strict_success", "terminated"),
    "time": ("experience_s", "reset_s", "cooling_s", "reset_attempts", "breaks"),
}
"""Groups of an episode; the names of their fields are those of the message, but `key.number`."""


def episode_msg(value: Episode, stamp: float) -> wire.Episode:
    """Convert an episode to a message."""
    message = wire.Episode(steps=value.steps)
    message.header.stamp = to_stamp(stamp)
    message.episode = value.key.number
    for group, names in _EPISODE_SCALARS.items():
        for name in names:
            setattr(message, name, getattr(getattr(value, group), name))
    for name, values in value.arrays.items():
        setattr(message, name, _sequence(values))
    return message


def episode(message: wire.Episode, task: Task | None = None) -> Episode:
    """Read an episode; its numbers may be anything.

    Args:
        message: the episode.
        task: task of the episode; None accepts any sizes that fit each other.

    Raises:
        ValueError: an array has not the size that the task and the steps ask for.
    """
    scalars = {
        group: {name: getattr(message, name) for name in names}
        for group, names in _EPISODE_SCALARS.items()
    }
    names = (*(field.name for field in fields(Trajectory)), "temperatures", "interventions")
    flat: dict[str, Array] = {name: np.frombuffer(getattr(message, name)) for name in names}
    steps = message.steps
    rows = {"observations": steps + 1, "actions": steps, "reward_terms": steps}
    columns = {"rewards": steps, "errors": steps}
    if message.interventions:
        columns["interventions"] = steps
    if task is not None:
        columns |= {"observations": task.observation_size, "actions": task.hand.n}
        columns |= {"reward_terms": len(task.reward_computer().terms)}
        columns |= {"goal_angle": goal_angles(task), "temperatures": task.hand.n}
    if not steps:
        raise ValueError("it has no steps")
    for name, values in flat.items():
        count = rows.get(name, 1)
        width = columns.get(name, len(values) // count)
        if len(values) != count * width:
            raise ValueError(f"it has {len(values)} {name}; {steps} steps have {count} x {width}")
        if name in rows:
            flat[name] = values.reshape(count, width)
    temperatures, interventions = flat.pop("temperatures"), flat.pop("interventions")
    key = EpisodeKey(number=message.episode, **scalars["key"])
    outcome, time = Outcome(**scalars["outcome"]), RobotTime(**scalars["time"])
    return Episode(key, Trajectory(**flat), outcome, time, temperatures, interventions)


def goal_decoder(task: Task) -> Callable[[bytes], Goal]:
    """Return a decoder of goals of the task."""
    angles = goal_angles(task)
    return decoder(wire.EpisodeGoal, lambda message: goal(message, angles))


def goal_angles(task: Task) -> int:
    """Return the number of angles that a goal of the task has."""
    return len(task.start(0, 0).goal_angle)


def policy_msg(policy: Policy, task: Task) -> wire.Policy:
    """Convert a policy to a message."""
    return wire.Policy(
        version=policy.version,
        task=task.name,
        hand=task.hand_name,
        layout=layout_json(task.layout),
        weights=safetensors.save(policy.tensors()),
    )


def policy(message: wire.Policy, task: Task) -> Policy:
    """Read a policy for a task.

    Raises:
        LayoutMismatch: the policy reads another observation than the task gives.
        BadRun: weights are missing, not finite, or do not fit each other.
        ValueError: the weights are no safetensors file.
    """
    check_layout(task, message.layout, f"policy version {message.version}")
    try:
        tensors = safetensors.load(bytes(message.weights))
    except SafetensorError as error:
        raise ValueError(f"its weights are no safetensors file: {error}") from None
    where = f"policy version {message.version}"
    return policy_from_tensors(tensors, message.version, task.spaces, where)


class ShownReward(NamedTuple):
    """Reward of a step, for people."""

    stamp: float  # s
    error: float  # rad
    total: float
    terms: tuple[float, ...]
    success: bool


def shown_reward(message: wire.Reward) -> ShownReward:
    """Read a reward for people; ValueError if a number is not finite."""
    stamp = checked_stamp(message.header.stamp)
    terms = tuple(message.terms)
    _check_finite(np.array([message.error, message.total, *terms]))
    return ShownReward(stamp, message.error, message.total, terms, message.success)


def decoder(kind: Any, read: Callable[[Any], T]) -> Callable[[bytes], T]:
    """Return a function that deserialises a message and reads it."""
    return lambda data: read(deserialize_message(data, kind))
