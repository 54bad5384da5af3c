"""Names of topics, actions and services; all relative, so that a namespace is one robot."""

CLOCK = "clock"
"""Simulated time. rclpy and rclcpp read the absolute name /clock: nodes of a robot in a namespace
are remapped, `-r /clock:=clock`, so that every simulated robot has a clock of its own."""

DIAGNOSTICS = "/diagnostics"
"""One topic for all robots, as diagnostic_aggregator expects; status names contain the node."""
DESCRIPTION = "robot_description"
JOINT_STATES = "joint_states"
TF = "/tf"
TF_STATIC = "/tf_static"
"""One of each for all robots, as tf2 expects; a robot in a namespace has it before its frames."""
MARKERS = "visualization_marker_array"
"""rviz's default for its display of marker arrays."""
HAND_STATES = "hand/joint_states"
HAND_COMMANDS = "hand/joint_commands"
CONTROLLER_COMMANDS = "forward_position_controller/commands"
HAND_SENT = "hand/joint_commands_sent"
HAND_STATUS = "hand/status"
HAND_TORQUE = "hand/torque"
HAND_TORQUE_ON = "hand/torque_on"
FIXTURE_STATES = "fixture/joint_states"
FIXTURE_COMMANDS = "fixture/joint_commands"
FIXTURE_TORQUE = "fixture/torque"
FIXTURE_STATUS = "fixture/status"
GUIDE = "hand/guide"
GUIDED = "hand/guided"
LEAD = "teacher/lead"
TELEPORT = "teleport"
DETECTIONS = "camera/detections"
OBJECT_STATE = "object/state"
GOAL = "episode_goal"
REWARD = "reward"
EPISODE = "episode"
INTERVENTION = "intervention"
JOY = "joy"
"""State of a joystick; the name that joy_node (package joy) uses."""
POLICY = "policy"
RESET = "reset"
ROLLOUT = "rollout"
TRAIN = "train"
EVALUATE = "evaluate"
RECORD = "recorder/record"
KEEP = "recorder/keep"
LABEL = "label"
PAUSE = "runner/pause"
SIMULATION_STATE = "simulation/state"
RECORD_DEMONSTRATION = "record_demonstration"
REPLAY_DEMONSTRATION = "replay_demonstration"
SESSION = "demonstration/session"
MARK = "demonstration/mark"
TELL = "demonstration/tell"

STREAMS = (HAND_STATES, FIXTURE_STATES, OBJECT_STATE, REWARD, DETECTIONS)
"""Topics whose newest message may be repeated; see `handlab_nodes.runtime.stream`."""

JOINT_TORQUE = "~/joint_torque"
REBOOT = "~/reboot"
CALIBRATE = "~/calibrate"
JOG = "~/jog"
EMERGENCY_STOP = "~/emergency_stop"
"""Services of each driver, below its own name: a station may have two."""

STOPPED = "~/stopped"
"""Topic of each driver: whether the emergency stop has released its motors."""

DRIVERS = ("driver", "fixture_driver")
COMMANDERS = ("runner", "demonstrator", "replay")
"""Nodes that run episodes; `learner` is a program that does so by itself."""

SERVERS = {
    RESET: ("reset",),
    ROLLOUT: ("runner",),
    TRAIN: ("learner",),
    EVALUATE: ("learner",),
    RECORD_DEMONSTRATION: ("demonstrator",),
    REPLAY_DEMONSTRATION: ("replay",),
}
"""Names of the nodes that serve each action."""


def of_driver(driver: str, name: str) -> str:
    """Return the name of a driver's own topic or service, such as STOPPED, for other nodes."""
    return name.replace("~", driver)


def started(action: str) -> str:
    """Return the topic on which the server of an action announces itself.

    It is for the nodes of a graph; ROS's tools hide names that have a leading underscore.
    """
    return f"{action}/_started"


SENDERS = {
    CLOCK: (*DRIVERS, "replay"),
    JOINT_STATES: (*DRIVERS, "replay"),
    HAND_STATES: (*DRIVERS, "replay"),
    FIXTURE_STATES: (*DRIVERS, "replay"),
    HAND_STATUS: DRIVERS,
    FIXTURE_STATUS: DRIVERS,
    HAND_SENT: DRIVERS,
    HAND_TORQUE_ON: DRIVERS,
    GUIDE: ("teacher",),
    DETECTIONS: ("camera",),
    OBJECT_STATE: ("estimator", "replay"),
    GOAL: (*COMMANDERS, "learner"),
    REWARD: ("reward",),
    EPISODE: ("runner", "demonstrator"),
    POLICY: ("learner",),
    INTERVENTION: ("_handlab", "operator"),
    JOY: ("joy_node", "game_controller_node"),
    SESSION: ("demonstrator",),
    MARK: ("demonstrator",),
    LABEL: ("viewer",),
    SIMULATION_STATE: ("driver",),
    **{started(action): nodes for action, nodes in SERVERS.items()},
}
"""Names of the nodes that may send on each topic; see `handlab_nodes.runtime.inbox`.
The nodes that may command a driver are its parameter `command_sources`."""
