"""Options of a training run, each declared once; see `handlab_core.options`."""

from dataclasses import field
from typing import Annotated

from pydantic import Field

from handlab_core.environment.intervention import INTERVENERS, NO_INTERVENER
from handlab_core.options import PATH, RewardOptions, StationOptions
from handlab_core.system.validation import OneOf, Positive, Seed, Text, checked
from handlab_core.tasks import TASKS
from handlab_core.tasks.adroit import SUITE
from handlab_core.worlds.levels import LEVELS, NONE

BACKENDS = ("graph", "sim")
"""Sources of episodes: the ROS nodes, or a simulation in this process."""

LOCAL, RAY = "local", "ray"
WORKERS = (LOCAL, RAY)
"""Processes that run the episodes of a simulation: this one, or those of a Ray cluster."""

GOALS = ("success", "strict", "hours")
"""Ends of a run: the task counts as learned, also by the strict criterion, or after the hours."""


@checked
class LearnedTask:
    """The task of a run: a task of a graph, or one of the Adroit suite."""

    task: Annotated[
        Text, OneOf("task", (*TASKS, *SUITE)), Field(description="Name of the task")
    ] = "valve"


@checked
class RunOptions(RewardOptions, StationOptions):
    """The options that a user chooses for a training run, besides task and settings."""

    algorithm: Annotated[
        Text,
        Field(
            description="npg, mpc: from nothing; ppo: the same, in simulation only; bc, dapg: from "
            "demonstrations; rlpd, local_models: from nothing or with demonstrations; residual: "
            "corrects a base policy"
        ),
    ] = "npg"
    demos: Annotated[
        Text,
        PATH,
        Field(
            description="Demonstrations: a bag (default: the task's own), or a Minari dataset for "
            "adroit_*"
        ),
    ] = ""
    base: Annotated[
        Text,
        PATH,
        Field(
            description="Policy that residual corrects: a run, a checkpoint, a gait's file, or "
            "gait: the task's own"
        ),
    ] = ""
    backend: Annotated[
        Text,
        OneOf("backend", BACKENDS),
        Field(description="Source of episodes; graph: the ROS nodes; sim: this process"),
    ] = "graph"
    workers: Annotated[
        Text,
        OneOf("workers", WORKERS),
        Field(
            description="Processes that run simulated episodes; local: this one; ray: those of a "
            "Ray cluster, docs/cluster.md"
        ),
    ] = LOCAL
    max_hours: Annotated[
        Positive, Field(description="Robot-hours, with resets; the run ends there at the latest")
    ] = 6.0
    until: Annotated[
        Text,
        OneOf("until", GOALS),
        Field(
            description="End of the run before its last hour; success: the task counts as learned; "
            "strict: also by the strict criterion; hours: none"
        ),
    ] = "strict"
    vary: Annotated[
        list[Text],
        Field(
            description="Drawn per episode: name=value, name=lower:upper or name=a,b,c; "
            "docs/variations.md"
        ),
    ] = field(default_factory=list)
    randomise: Annotated[
        Text,
        OneOf("level of randomisation", LEVELS),
        Field(
            description="Level of what every episode draws; fitted: around the servos that "
            "`identify` measured; docs/variations.md"
        ),
    ] = NONE
    fitted: Annotated[
        Text,
        PATH,
        Field(description="File of `identify`, for --randomise fitted; default: of the station"),
    ] = ""
    interventions: Annotated[
        Text,
        OneOf("interventions", INTERVENERS),
        Field(
            description="Who may act in place of the policy, which rlpd and residual learn from; "
            "teacher: the scripted one, in episodes without progress; person: by keys or joystick"
        ),
    ] = NO_INTERVENER
    seed: Annotated[Seed, Field(description="Random seed of starts, goals and noise")] = 0
