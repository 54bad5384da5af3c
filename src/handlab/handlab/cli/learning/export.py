"""`./handlab export`: write a skill as one file."""

from pathlib import Path
from typing import Annotated

from handlab.cli.parameters import AsJson, finish
from handlab.cli.values import option, path_argument, path_option
from handlab_core.system.validation import Text


def export(
    run: Annotated[Path, path_argument("A run folder, or a checkpoint in one")],
    to: Annotated[Path | None, path_option("File; default: <run>.onnx")] = None,
    policy: Annotated[
        str, option(Text, "best or last, of a run; default: the best, if the run keeps one")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a policy with its card as an ONNX file, which `evaluate` and other programs run."""
    from handlab.experiments.exporting import export_run
    from handlab.reporting.terminal import command

    path, card = export_run(run, to, policy)
    rate = card.get("success_rate")
    known = "success not measured" if rate is None else f"success {rate:.0%}"
    print(f"{path}: {card['task']} on {card['hand']}, iteration {card['iteration']}, {known}")
    print(f"next: {command('evaluate', path)}")
    finish({"file": str(path), **card}, as_json)
