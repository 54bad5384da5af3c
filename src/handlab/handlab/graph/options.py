"""Options of a graph, each declared once; `handlab_core.options` has those of its station."""

from typing import Annotated

from pydantic import Field

from handlab_core.options import BagOptions, DriverOptions, RewardOptions, StationOptions
from handlab_core.system.validation import Flag, OneOf, Text, checked

PERSON, SCRIPT = "person", "script"
TEACHERS = (PERSON, SCRIPT)
"""Teachers that guide a hand while it demonstrates."""

LOOK, ON_HAND = "look", "hand"
REPLAYS = (LOOK, ON_HAND)
"""Ways to replay demonstrations: show them, or repeat them with a hand."""


@checked
class ViewerOptions:
    """The browser viewer."""

    viewer: Annotated[Flag, Field(description="Serve the browser viewer")] = False


@checked
class SceneOptions:
    """The scene for rviz."""

    scene: Annotated[Flag, Field(description="Publish /tf and markers, for rviz")] = False


@checked
class ComposeOptions:
    """The processes of a graph."""

    compose: Annotated[
        Flag, Field(description="Run the nodes of every step in one process, which is faster")
    ] = False


@checked
class LearningOptions(BagOptions, SceneOptions, ViewerOptions, ComposeOptions, RewardOptions):
    """Options of a graph that learns."""

    learner: Annotated[Flag, Field(description="Start the policy learner")] = True
    ros2_control: Annotated[Flag, Field(description="Command the hand through its controllers")] = (
        False
    )


@checked
class TeacherOptions:
    """The teacher of a graph that records demonstrations."""

    teacher: Annotated[
        Text,
        OneOf("teacher", ("", *TEACHERS)),
        Field(description="Teacher that guides the hand; person, or script: only with MuJoCo"),
    ] = ""


@checked
class ReplayOptions:
    """The way to replay demonstrations."""

    replay: Annotated[
        Text,
        OneOf("replay", ("", *REPLAYS)),
        Field(description="look: only show the demonstrations; hand: repeat them with a hand"),
    ] = ""


@checked
class GraphOptions(LearningOptions, TeacherOptions, ReplayOptions, DriverOptions, StationOptions):
    """All options of a graph that users choose."""


@checked
class LaunchOptions:
    """Options of `ros2 launch` alone."""

    namespace: Annotated[Text, Field(description="Namespace of all nodes, one per robot")] = ""
    network: Annotated[Flag, Field(description="Let other machines join the graph")] = False
    rviz: Annotated[Flag, Field(description="Start rviz2, and the scene")] = False
