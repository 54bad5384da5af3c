"""Settings of the search of a scripted teacher's gait; options of `./handlab gait`."""

from typing import Annotated

from pydantic import Field

from handlab_core.options import CommandLine
from handlab_core.system.validation import Count, Flag, NotNegative, Positive, Seed, checked

Poses = Annotated[Count, Field(ge=2, le=100)]

FAR, NEAR = 0.6, 0.1
"""Standard deviations of the first generation, from nothing and from a gait."""

HIDDEN = CommandLine(hidden=True)


@checked
class SearchConfig:
    """Settings of a search."""

    poses: Annotated[Poses, Field(description="Poses in a cycle")] = 4
    alike: Annotated[Flag, Field(description="All fingers do the same, one after another")] = False
    """For an object that looks the same to all fingers: each has a delay of its own."""
    generations: Annotated[Count, Field(description="Generations of the search")] = 220
    replay_weight: Annotated[
        NotNegative, Field(description="Weight of the error when the engaged hand repeats the gait")
    ] = 1.0
    seed: Annotated[Seed, Field(description="Random seed of starts, goals and noise")] = 0
    population: Annotated[Count, HIDDEN] = 24
    spread: Annotated[Positive, HIDDEN] = FAR
    """Standard deviation of the first generation, in units of an inverse hyperbolic tangent."""
    noise: Annotated[NotNegative, HIDDEN] = 0.02
    """rad, the trembling of the hand that leads."""
    end_weight: Annotated[NotNegative, HIDDEN] = 3.0
    """Weight of the error in the last fifth; the mean error has weight 1."""
    effort_weight: Annotated[NotNegative, HIDDEN] = 0.02
    """Weight of the poses' distance from the middle of the range."""
