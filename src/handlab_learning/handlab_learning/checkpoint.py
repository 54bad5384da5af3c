"""Checkpoints: a safetensors file and, beside it, a JSON manifest that says what it is.

The manifest is written last: a checkpoint without one is not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from handlab_core.errors import BadRun
from handlab_core.files import write_atomically
from handlab_core.policy import GaussianPolicy, check_layout, layout_json
from handlab_core.suite import AnyTask, find_task

FORMAT = 1
"""Of the manifest; rises when old ones can no longer be read."""

KEEP = 3
"""Newest checkpoints that stay on disk."""

POLICY_PREFIX, STATE_PREFIX = "act.", "learn."


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint is and what its manifest says."""

    manifest_path: Path
    manifest: dict[str, Any]

    @property
    def tensors_path(self) -> Path:
        """The safetensors file."""
        return self.manifest_path.with_suffix(".safetensors")

    def task(self) -> AnyTask:
        """The task it was learned for, with the reward it was learned from."""
        return find_task(self.manifest["task"]).with_reward(self.manifest["reward"])

    def policy(self, task: AnyTask | None = None) -> GaussianPolicy:
        """The policy, for a task that gives the observation it reads (None: its own task).

        Raises:
            LayoutMismatch: the task gives another observation.
            BadRun: the file is damaged.
        """
        task = task or self.task()
        check_layout(task, self.manifest["layout"], str(self.manifest_path))
        named = self._part(POLICY_PREFIX)
        return GaussianPolicy.from_tensors(
            {name: tensor.numpy() for name, tensor in named.items()}, self.manifest["version"]
        )

    def state(self) -> dict[str, Tensor]:
        """The algorithm's state."""
        return self._part(STATE_PREFIX)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        try:
            tensors = safetensors_torch.load_file(self.tensors_path)
        except (OSError, SafetensorError) as error:
            raise BadRun(f"{self.tensors_path} cannot be read: {error}") from error
        return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def save(
    folder: Path,
    iteration: int,
    task: AnyTask,
    policy: GaussianPolicy,
    state: Mapping[str, Tensor],
    progress: Mapping[str, Any],
) -> Checkpoint:
    """Write a checkpoint and remove old ones.

    Args:
        folder: `checkpoints` of a run.
        iteration: number of iterations done.
        task: what was learned.
        policy: to act with.
        state: to learn on with.
        progress: of the trainer, plain data.
    """
    tensors = {POLICY_PREFIX + name: torch.from_numpy(a) for name, a in policy.tensors().items()}
    tensors |= {STATE_PREFIX + name: t.detach().contiguous().clone() for name, t in state.items()}
    path = folder / f"{iteration:06d}.json"
    manifest = {
        "format": FORMAT,
        "iteration": iteration,
        "version": policy.version,
        "task": task.name,
        "hand": task.hand_name,
        "reward": task.reward,
        "layout": layout_json(task.layout),
        "progress": dict(progress),
    }
    write_atomically(path.with_suffix(".safetensors"), safetensors_torch.save(tensors))
    write_atomically(path, json.dumps(manifest, indent=1))
    _remove_old(folder)
    return Checkpoint(path, manifest)


def load(path: Path) -> Checkpoint:
    """Find a checkpoint: its manifest, its tensors, or a run folder, whose newest one is taken.

    Raises:
        BadRun: it is not there, not whole, or of an unknown format; says which.
    """
    if path.is_dir():
        folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
        manifests = sorted(folder.glob("*.json"))
        if not manifests:
            raise BadRun(f"{path} holds no checkpoint: there is no *.json in {folder}")
        path = manifests[-1]
    path = path.with_suffix(".json")
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise BadRun(f"no checkpoint at {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadRun(f"{path} is not a checkpoint's manifest: {error}") from error
    missing = {"format", "iteration", "version", "task", "layout", "progress"} - set(manifest)
    if missing:
        raise BadRun(f"{path} lacks {', '.join(sorted(missing))}")
    if manifest["format"] != FORMAT:
        raise BadRun(f"{path} has format {manifest['format']}; this handlab reads {FORMAT}")
    checkpoint = Checkpoint(path, manifest)
    if not checkpoint.tensors_path.is_file():
        raise BadRun(f"{checkpoint.tensors_path} is missing beside its manifest")
    return checkpoint


def _remove_old(folder: Path) -> None:
    for path in sorted(folder.glob("*.json"))[:-KEEP]:
        path.unlink()
        path.with_suffix(".safetensors").unlink(missing_ok=True)
