"""Values to messages and back; the only place that knows both. One robot: N = 1."""

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from safetensors import numpy as safetensors
from sensor_msgs.msg import JointState as JointStateMsg

from handlab_core.episode import ARRAYS, Episode
from handlab_core.estimation.detection import Detection
from handlab_core.policy import GaussianPolicy, check_layout, layout_json
from handlab_core.tasks import Task
from handlab_core.types import NS_PER_S, Array, Command, Goal, JointState
from handlab_interfaces import msg as wire


def to_stamp(seconds: float) -> Time:
    """Seconds to a ROS time, to the nearest nanosecond."""
    sec, nanosec = divmod(round(float(seconds) * NS_PER_S), NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def from_stamp(stamp: Time) -> float:
    """The inverse of `to_stamp`."""
    return float((stamp.sec * NS_PER_S + stamp.nanosec) / NS_PER_S)


def joint_state(message: JointStateMsg) -> JointState:
    """A driver's message as a reading; the driver sends joints in the group's order."""
    return JointState(
        np.array([from_stamp(message.header.stamp)]),
        np.frombuffer(message.position)[None, :],
        np.frombuffer(message.velocity)[None, :],
        np.frombuffer(message.effort)[None, :],
    )


def _sequence(row: Array) -> "array[float]":
    """One robot's numbers as the type that messages hold, without a list in between."""
    return array("d", row.tobytes())


def command(message: JointStateMsg, names: Sequence[str]) -> Command:
    """A message from anybody as a command, in the order of `names`.

    Joints that are not named have a NaN target, which the clamp replaces by what was sent before;
    unknown names are left out. Where no effort is given it is the joint's own limit.

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
        raise ValueError(f"a joint comes twice in {', '.join(given)}")
    if not set(given) & set(names):
        raise ValueError(f"none of {', '.join(given)} is a joint; there is: {', '.join(names)}")
    position, effort = np.frombuffer(message.position), np.frombuffer(message.effort)
    if given != names:
        place = {name: i for i, name in enumerate(given)}
        order = [place.get(name, -1) for name in names]
        position = np.append(position, np.nan)[order]
        effort = np.append(effort, np.inf)[order] if len(effort) else effort
    whole = effort if len(effort) else np.full(len(names), np.inf)
    return Command(position[None, :], whole[None, :])


def goal_msg(goal: Goal) -> wire.EpisodeGoal:
    """One robot's goal as a message."""
    message = wire.EpisodeGoal(episode=int(goal.episode[0]))
    message.header.stamp = to_stamp(goal.stamp[0])
    message.angle, message.velocity = _sequence(goal.angle[0]), _sequence(goal.velocity[0])
    return message


def goal(message: wire.EpisodeGoal) -> Goal:
    """The inverse of `goal_msg`."""
    return Goal(
        np.array([message.episode]),
        np.array([from_stamp(message.header.stamp)]),
        np.frombuffer(message.angle)[None, :],
        np.frombuffer(message.velocity)[None, :],
    )


DETECTION_FRAME = "world"
"""Of the simulated camera's detections."""

NO_DETECTION = -1.0
"""First element of the covariance of an empty detection, as where `sensor_msgs/Imu` has no
estimate."""


def detection_msg(value: Detection) -> PoseWithCovarianceStamped:
    """A detection as a message; its stamp is the picture's."""
    message = PoseWithCovarianceStamped()
    message.header.frame_id, message.header.stamp = DETECTION_FRAME, to_stamp(value.stamp)
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = value.position
    orientation.w, orientation.x, orientation.y, orientation.z = value.orientation
    message.pose.covariance = value.covariance
    return message


def no_more_msg(stamp: float) -> PoseWithCovarianceStamped:
    """The empty detection: all that arrived by a time [s] has been told."""
    message = PoseWithCovarianceStamped()
    message.header.frame_id, message.header.stamp = DETECTION_FRAME, to_stamp(stamp)
    message.pose.covariance[0] = NO_DETECTION
    return message


def detection(message: PoseWithCovarianceStamped) -> Detection | float:
    """The inverse of `detection_msg`; of `no_more_msg`, the stamp [s]."""
    stamp = from_stamp(message.header.stamp)
    covariance = tuple(message.pose.covariance.tolist())
    if covariance[0] == NO_DETECTION:
        return stamp
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    return Detection(
        stamp,
        (position.x, position.y, position.z),
        (orientation.w, orientation.x, orientation.y, orientation.z),
        covariance,
    )


_EPISODE_SCALARS = (
    "episode",
    "policy_version",
    "seed",
    "deterministic",
    "terminated",
    "success",
    "strict_success",
    "experience_s",
    "reset_s",
    "cooling_s",
    "reset_attempts",
    "breaks",
)


def episode_msg(value: Episode, stamp: float) -> wire.Episode:
    """An episode as a message."""
    message = wire.Episode(steps=value.steps)
    message.header.stamp = to_stamp(stamp)
    for name in _EPISODE_SCALARS:
        setattr(message, name, getattr(value, name))
    for name in ARRAYS:
        setattr(message, name, _sequence(getattr(value, name)))
    return message


def episode(message: wire.Episode) -> Episode:
    """The inverse of `episode_msg`."""
    scalars = {name: getattr(message, name) for name in _EPISODE_SCALARS}
    flat: dict[str, Array] = {name: np.frombuffer(getattr(message, name)) for name in ARRAYS}
    rows = {name: message.steps + (name == "observations") for name in ("observations", "actions")}
    rows["reward_terms"] = message.steps
    for name, count in rows.items():
        flat[name] = flat[name].reshape(count, -1)
    return Episode(**scalars, **flat)


def policy_msg(policy: GaussianPolicy, task: Task) -> wire.Policy:
    """A policy as a message."""
    return wire.Policy(
        version=policy.version,
        task=task.name,
        hand=task.hand_name,
        layout=layout_json(task.layout),
        weights=safetensors.save(policy.tensors()),
    )


def policy(message: wire.Policy, task: Task) -> GaussianPolicy:
    """The inverse of `policy_msg`.

    Raises:
        LayoutMismatch: the policy reads another observation than the task gives.
    """
    check_layout(task, message.layout, f"policy version {message.version}")
    named = safetensors.load(bytes(message.weights))
    where = f"policy version {message.version}"
    return GaussianPolicy.from_tensors(named, message.version, task.spaces, where)
