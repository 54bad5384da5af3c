"""`./handlab report`: write the page of a run."""

from pathlib import Path
from typing import Annotated

from handlab.cli.values import path_argument


def report(run: Annotated[Path, path_argument("Folder of a finished run")]) -> None:
    """Write the report of a finished run again."""
    from handlab.reporting import run_report as reports
    from handlab_learning.runs.directory import RunFolder

    print(reports.write(RunFolder(run)))
