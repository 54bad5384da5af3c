"""`./handlab compare`: learning curves of several runs."""

from pathlib import Path
from typing import Annotated

from handlab.cli.parameters import AsJson, finish
from handlab.cli.values import path_argument, path_option


def compare(
    runs: Annotated[list[Path], path_argument("Folders of finished runs")],
    output: Annotated[
        Path | None, path_option("The picture to write, a PNG; default: figures only")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the learning curves of runs; runs that differ in the seed alone become one."""
    from handlab.reporting import compare as comparison
    from handlab.reporting.progress import learned_text

    figures = comparison.compare(runs, output)
    for name, group in figures["groups"].items():
        learned = learned_text(group["median_robot_hours_to_success"], group["algorithm"])
        best, last = (
            ", ".join(
                comparison.success_text(*one)
                for one in zip(
                    group[f"{policy}_success_rate"],
                    group[f"{policy}_success_interval"],
                    strict=True,
                )
            )
            for policy in ("best", "last")
        )
        print(f"{name}: {learned} (median of seeds {group['seeds']})")
        print(f"  success of the best policies: {best}; of the last: {last}")
    print("figures only; add --output FILE.png for the curves" if output is None else output)
    finish(figures, as_json)
