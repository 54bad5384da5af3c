"""Options that several benches share."""

from typing import Annotated

from pydantic import Field

from handlab_core.system.validation import Positive, Text, checked


@checked
class MinutesOptions:
    """The duration of a measurement."""

    minutes: Annotated[Positive, Field(le=100_000, description="min; duration")] = 60.0


@checked
class TasksOptions:
    """The part of a bench that is measured."""

    tasks: Annotated[
        Text,
        Field(description="Tasks to measure, separated by commas; empty: all; others are kept"),
    ] = ""
