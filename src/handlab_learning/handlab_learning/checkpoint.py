"""Checkpoints: a safetensors file and, beside it, a JSON manifest that says what it is.

The manifest is written last: a checkpoint without one is not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict, with_config
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor
from typing_extensions import TypedDict

from handlab_core.errors import BadRun, HandlabError
from handlab_core.files import read_json, write_atomically
from handlab_core.policy import GaussianPolicy, check_layout, layout_json
from handlab_core.suite import AnyTask, find_task
from handlab_core.validation import Index, Text, build

FORMAT = 1
"""Of the manifest; rises when old ones can no longer be read."""

KEEP = 3
"""Newest checkpoints that stay on disk."""

POLICY_PREFIX, STATE_PREFIX = "act.", "learn."


@with_config(ConfigDict(extra="allow"))
class Manifest(TypedDict):
    """What the JSON file beside the tensors says of them."""

    format: Literal[1]
    iteration: Index
    version: Index
    task: Text
    hand: Text
    reward: Text
    layout: Text
    """See `handlab_core.policy.layout_json`."""
    progress: dict[str, Any]
    """Of the trainer, which checks it."""


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
        """The task it was learned for, with the reward it was learned from; BadRun if unknown."""
        try:
            return find_task(self.manifest["task"]).with_reward(self.manifest["reward"])
        except HandlabError as error:
            raise BadRun(f"{self.manifest_path}: {error}") from None

    def policy(self, task: AnyTask | None = None) -> GaussianPolicy:
        """The policy, for a task that gives the observation it reads (None: its own task).

        Raises:
            LayoutMismatch: the task gives another observation.
            BadRun: the file is damaged, or the tensors are not a policy of the task; names the
                tensor and the file.
        """
        task = task or self.task()
        check_layout(task, self.manifest["layout"], str(self.manifest_path))
        named, where = self._part(POLICY_PREFIX), f"the policy in {self.tensors_path}"
        for name, tensor in named.items():
            if tensor.dtype not in (torch.float32, torch.float64):  # numpy lacks some of torch's
                raise BadRun(
                    f"{name} of {where} is {_form(tensor)}; it must be float64: train it again"
                )
        return GaussianPolicy.from_tensors(
            {name: tensor.numpy() for name, tensor in named.items()},
            self.manifest["version"],
            task.spaces,
            where,
        )

    def state(self) -> dict[str, Tensor]:
        """The algorithm's state."""
        return self._part(STATE_PREFIX)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        try:
            tensors = safetensors_torch.load_file(self.tensors_path)
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise BadRun(f"{self.tensors_path} cannot be read: {error}") from error
        return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def check_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor], where: Path) -> None:
    """Refuse a saved state that an algorithm cannot go on from.

    Args:
        state: the saved tensors.
        own: the state of the same algorithm before its first update; the saved one has all of its
            names, and more once moments and episodes are remembered.
        where: the file that the state is from, for messages.

    Raises:
        BadRun: a tensor is missing, of another type or shape, or not finite; names it.
    """
    for name, fresh in own.items():
        if name not in state:
            raise BadRun(f"{where} lacks {name}: it was written with other settings, or damaged")
        saved = state[name]
        if saved.dtype != fresh.dtype or saved.shape != fresh.shape:
            raise BadRun(f"{name} in {where} is {_form(saved)}; these settings need {_form(fresh)}")
    for name, saved in state.items():
        if saved.is_floating_point() and not bool(torch.isfinite(saved).all()):
            raise BadRun(f"{name} in {where} has values that are not finite; begin a new run")


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


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
        manifest = dict(build(Manifest, read_json(path, BadRun)))
    except HandlabError as error:
        raise BadRun(f"{path} is not a checkpoint's manifest: {error}") from None
    checkpoint = Checkpoint(path, manifest)
    if not checkpoint.tensors_path.is_file():
        raise BadRun(f"{checkpoint.tensors_path} is missing beside its manifest")
    return checkpoint


def _remove_old(folder: Path) -> None:
    for path in sorted(folder.glob("*.json"))[:-KEEP]:
        path.unlink()
        path.with_suffix(".safetensors").unlink(missing_ok=True)
