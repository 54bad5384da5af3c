"""Export of a run's policy as a skill."""

from pathlib import Path
from typing import Any

from handlab_core.errors import BadConfig, BadRun
from handlab_learning.policy_files.skill_file import SUFFIX, export
from handlab_learning.runs import checkpoint
from handlab_learning.runs.directory import RunFolder


def export_run(run: Path, to: Path | None, policy: str = "") -> tuple[Path, dict[str, Any]]:
    """Write the policy of a run as a skill; return its path and its card.

    Args:
        run: a run folder, or a checkpoint in one.
        to: file; None: the run's name in the present folder.
        policy: `best` or `last`; empty: the best, if the run keeps one.

    Raises:
        BadRun: there is no such run, it is damaged, or its policy has no ONNX form.
        BadConfig: the file's name does not end as that of an ONNX file.
        CannotWrite: the file cannot be written.
    """
    saved = checkpoint.load(run, policy)
    folder = saved.manifest_path.parent
    folder = folder.parent if folder.name in checkpoint.FOLDERS else folder
    path = to or Path(folder.name + SUFFIX)
    if path.suffix != SUFFIX:
        raise BadConfig(f"{path}: a skill's name ends with {SUFFIX}; choose --to {path}{SUFFIX}")
    return path, export(saved, path, _measured(RunFolder(folder), saved))


def _measured(folder: RunFolder, saved: checkpoint.Checkpoint) -> dict[str, Any]:
    """Return the figures of the exported policy; those of a run that has not ended are few."""
    figures: dict[str, Any] = {}
    try:
        config = folder.config()
        figures |= {"algorithm": config.algorithm, "backend": config.backend, "seed": config.seed}
        figures |= folder.summary()
    except BadRun:
        figures |= saved.manifest.get("evaluation", {})
        row = saved.manifest.get("row", {})
        figures |= {"robot_hours": row["robot_hours"]} if "robot_hours" in row else {}
        return figures
    kind = saved.named()["policy"]
    if kind in checkpoint.POLICIES and isinstance(figures.get(kind), dict):
        figures |= figures[kind]  # the summary's own rates are those of the best
    figures.setdefault("evaluation_episodes", figures.get("episodes"))
    return figures
