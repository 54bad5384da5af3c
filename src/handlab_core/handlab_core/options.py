"""Options of a station, each declared once.

A field's type holds the rule and its metadata the help: `Annotated[Text, OneOf("pace", PACES),
Field(description="...")]`. Configurations inherit these classes. Command line, launch arguments,
node parameters and config.yaml are generated from the fields, so a new option is one new field.

Descriptions begin with the unit of a number and name its meaning after a semicolon.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import Field

from handlab_core.estimation.estimator_table import ENCODER, ESTIMATORS
from handlab_core.hardware.backend_table import BACKENDS, DEFAULT
from handlab_core.hardware.lockstep import PACES
from handlab_core.system.validation import NotNegative, OneOf, Positive, Text, checked
from handlab_core.tasks import TASKS

EMULATED = "emulated"
"""Name of the port that stands for emulated motors."""

LONGEST_KEPT = 600.0
"""s; at 100 Hz a second of a station is 150 kB."""

FASTEST = 1000.0
"""Hz; highest rate of a driver. No bus of nine servos and no loop in Python is much faster."""


@dataclass(frozen=True)
class CommandLine:
    """Say how a field appears on the command line, where that differs from the rule.

    Args:
        flag: name of the option; empty: the field's name.
        path: the value is a path, in which `~` is replaced by the home.
        hidden: the field is neither an option of the command line nor a launch argument.
    """

    flag: str = ""
    path: bool = False
    hidden: bool = False


PATH = CommandLine(path=True)


def command_line(hint: Any) -> CommandLine:
    """Return what the type of a field says of the command line, which may be nothing."""
    marks = (mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, CommandLine))
    return next(marks, CommandLine())


@checked
class TaskOptions:
    """The task."""

    task: Annotated[Text, OneOf("task", TASKS), Field(description="Name of the task")] = "valve"


@checked
class RewardOptions:
    """The reward of the task."""

    reward: Annotated[Text, Field(description="Reward variant; empty: the task's default")] = ""


@checked
class DescriptionOptions(RewardOptions, TaskOptions):
    """Description of the task, the same for all nodes of a graph."""


@checked
class BackendOptions:
    """The backend that moves the hand."""

    hardware: Annotated[
        Text, OneOf("hardware", BACKENDS), Field(description="Backend that moves the hand")
    ] = DEFAULT


@checked
class MachineOptions:
    """The facts of one machine with real hardware."""

    station: Annotated[
        Text, PATH, Field(description="Station file; empty: config/hands/<hand>.yaml")
    ] = ""
    port: Annotated[
        Text,
        PATH,
        Field(
            description="Port of the motors; empty: the station file's; emulated: no hand needed"
        ),
    ] = ""


@checked
class HardwareOptions(MachineOptions, BackendOptions):
    """The backend, and what real hardware needs."""


@checked
class EstimatorOptions:
    """The estimator of the object's angle."""

    estimator: Annotated[
        Text,
        OneOf("estimator", ESTIMATORS),
        Field(description="Sensor that follows the object; MuJoCo simulates the camera, too"),
    ] = ENCODER


@checked
class StationOptions(EstimatorOptions, HardwareOptions):
    """One robot station: hardware and estimator."""


@checked
class PaceOptions:
    """The progress of time."""

    pace: Annotated[
        Text,
        OneOf("pace", PACES),
        Field(description="real: by the clock; lockstep: a simulation that waits for commands"),
    ] = "lockstep"


@checked
class RateOptions:
    """The rate of a driver in real pace."""

    rate: Annotated[
        Positive, Field(le=FASTEST, description="Hz; rate of the driver in pace real")
    ] = 100.0


@checked
class DriverOptions(RateOptions, PaceOptions, HardwareOptions, DescriptionOptions):
    """Options of the node that drives the hardware."""

    resting_rate: Annotated[
        Positive,
        CommandLine(hidden=True),
        Field(le=FASTEST, description="Hz; rate of the driver in pace real without commands"),
    ] = 10.0


@checked
class BagOptions:
    """The recording of a graph."""

    bag: Annotated[
        Text,
        PATH,
        Field(description="Folder of the recording, which replaces a bag; empty: no recording"),
    ] = ""
    keep_last: Annotated[
        NotNegative,
        Field(
            le=LONGEST_KEPT,
            description="s; newest part that the recorder has in memory for `./handlab keep`; "
            "0: nothing",
        ),
    ] = 0.0


def part(options: object, kind: type) -> dict[str, Any]:
    """Return the values of those options that a class declares.

    Args:
        options: dataclass that inherits from `kind`.
        kind: class of options.
    """
    return {field.name: getattr(options, field.name) for field in fields(kind)}


def taken(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Remove the options of a class from a dictionary; return them."""
    names = [field.name for field in fields(kind) if field.name in values]
    return {name: values.pop(name) for name in names}
