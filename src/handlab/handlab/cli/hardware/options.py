"""Options that the verbs of a hand at the bench share."""

from typing import Annotated

from handlab.cli.values import argument, option
from handlab_core.hands import HANDS
from handlab_core.system.validation import Index, OneOf, Text

HandText = Annotated[Text, OneOf("hand", HANDS)]

HandName = Annotated[str, option(HandText, "See `./handlab hands`", "--hand")]
HandArgument = Annotated[str, argument(HandText, "See `./handlab hands`")]

DomainId = Annotated[
    int | None,
    option(Index, "ROS domain id of a running graph; default: search on this machine", "--domain"),
]

JointName = Annotated[str, argument(Text, "Joint; see `./handlab hands`")]
