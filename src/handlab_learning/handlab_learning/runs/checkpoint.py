"""Checkpoints: a safetensors file with a JSON manifest.

The manifest is written last: tensors without a manifest do not count.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired

import torch
from pydantic import ConfigDict, with_config
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor
from typing_extensions import TypedDict

from handlab_core.environment.policies.policy import Policy, check_layout, layout_json
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.errors import BadConfig, BadRun, HandlabError, UnknownName
from handlab_core.system.files import read_json, shown_path, write_atomically
from handlab_core.system.validation import Index, Text, build
from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.learnable import LearnableTask

FORMAT = 1
"""Version of the manifest; increases when older manifests can no longer be read."""

KEEP = 3
"""Number of newest checkpoints, and of best candidates, that stay on disk."""

POLICY_PREFIX, STATE_PREFIX = "act.", "learn."

BEST, LAST = "best", "last"
POLICIES = (BEST, LAST)
"""Names of the policies that a run keeps: the result, and the last policy of the training."""

CHECKPOINTS, CANDIDATES, BASE = "checkpoints", "candidates", "base"
"""Folders of a run: the newest checkpoints, the policies with the best evaluations, and the policy
that the run corrects. The chosen policy is in the folder `best`."""

FOLDERS = (CHECKPOINTS, CANDIDATES, BEST, BASE)
"""Folders of a run that hold checkpoints."""


@with_config(ConfigDict(extra="allow"))
class Manifest(TypedDict):
    """Contents of the JSON file of a checkpoint."""

    format: Literal[1]
    iteration: Index
    version: Index
    task: Text
    hand: Text
    reward: Text
    layout: Text
    """See `handlab_core.environment.policies.policy.layout_json`."""
    progress: dict[str, Any]
    """State of the trainer, which checks it."""
    row: NotRequired[dict[str, Any]]
    """The iteration's row of metrics."""
    evaluation: NotRequired[dict[str, Any]]
    """Evaluation of a candidate or the best policy."""


@dataclass(frozen=True)
class Checkpoint:
    """Location and manifest of a checkpoint."""

    manifest_path: Path
    manifest: dict[str, Any]

    @property
    def tensors_path(self) -> Path:
        """Path of the safetensors file."""
        return self.manifest_path.with_suffix(".safetensors")

    def named(self) -> dict[str, Any]:
        """Return facts for an evaluation of the policy: kind, iteration and path."""
        kinds = {CHECKPOINTS: LAST, CANDIDATES: "best so far", BEST: BEST, BASE: BASE}
        kind = kinds.get(self.manifest_path.parent.name, "")
        path = str(self.manifest_path)
        return {"policy": kind, "iteration": self.manifest["iteration"], "checkpoint": path}

    def task(self) -> LearnableTask:
        """Return the task with the reward of the training; raise BadRun if it is unknown."""
        try:
            return find_task(self.manifest["task"]).with_reward(self.manifest["reward"])
        except HandlabError as error:
            raise BadRun(f"{self.manifest_path}: {error}") from None

    def policy(self, task: LearnableTask | None = None) -> Policy:
        """Return the policy, for a task with the same observation (None: its own task).

        Raises:
            LayoutMismatch: the task has another observation.
            BadRun: the file is damaged, or the tensors are not a policy of the task; the message
                names the tensor and the file.
        """
        task = task or self.task()
        check_layout(task, self.manifest["layout"], str(self.manifest_path))
        named, where = self._part(POLICY_PREFIX), f"the policy in {self.tensors_path}"
        for name, tensor in named.items():
            if tensor.dtype not in (torch.float32, torch.float64):  # numpy lacks some of torch's
                raise BadRun(
                    f"{name} of {where} is {_form(tensor)}; it must be float64: train it again"
                )
        return policy_from_tensors(
            {name: tensor.numpy() for name, tensor in named.items()},
            self.manifest["version"],
            task.spaces,
            where,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the state of the algorithm."""
        return self._part(STATE_PREFIX)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        try:
            tensors = safetensors_torch.load_file(self.tensors_path)
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise BadRun(f"{self.tensors_path} cannot be read: {error}") from error
        return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def check_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor], where: Path) -> None:
    """Reject a saved state from which an algorithm cannot resume.

    Args:
        state: the saved tensors.
        own: state of the same algorithm before its first update. The saved state has all of its
            names, and those of moments and remembered episodes.
        where: file of the state, for messages.

    Raises:
        BadRun: a tensor is missing, has another type or shape, or is not finite; the message names
            it.
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
    task: LearnableTask,
    policy: Policy,
    state: Mapping[str, Tensor],
    progress: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Write a checkpoint.

    Args:
        folder: folder of checkpoints or of policies.
        iteration: number of iterations done.
        task: the learned task.
        policy: the policy.
        state: state of the algorithm; empty for policies from which no training resumes.
        progress: state of the trainer, plain data.
        more: further entries of the manifest, plain data.

    Raises:
        CannotWrite: the disk, the folder or the user's rights do not allow it.
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
        **(more or {}),
    }
    write_atomically(path.with_suffix(".safetensors"), safetensors_torch.save(tensors))
    write_atomically(path, json.dumps(manifest, indent=1))
    return Checkpoint(path, manifest)


def load(path: Path, policy: str = "") -> Checkpoint:
    """Load a checkpoint by its manifest, its tensors, or its run folder.

    Args:
        path: of a run, of a folder of checkpoints (its newest is taken), or of a checkpoint.
        policy: of a run, `best` or `last`. Empty: the best, or the last of a run that keeps none.

    Raises:
        BadRun: it is not there, not whole, or of an unknown format; says which.
        BadConfig: a policy is chosen, but the path is not a run folder.
    """
    if policy and policy not in POLICIES:
        raise UnknownName("policy", policy, POLICIES)
    if policy and not (path / CHECKPOINTS).is_dir():
        if path.exists():
            raise BadConfig(f"{path} is not a run folder: leave --policy, or name the run's folder")
        raise BadRun(f"there is no run folder {path}")
    if path.is_dir():
        path = _in_run(path, policy) if (path / CHECKPOINTS).is_dir() else _newest(path, path)
    path = path.with_suffix(".json")
    if not path.exists():
        raise BadRun(f"no checkpoint at {shown_path(path)}: name a run folder, or a file in one")
    try:
        manifest = dict(build(Manifest, read_json(path, BadRun)))
    except HandlabError as error:
        raise BadRun(f"{path} is not a checkpoint's manifest: {error}") from None
    checkpoint = Checkpoint(path, manifest)
    if not checkpoint.tensors_path.is_file():
        raise BadRun(f"{checkpoint.tensors_path} is missing, although its manifest exists")
    return checkpoint


def _in_run(run: Path, policy: str) -> Path:
    """Return the manifest of a run's best or last policy; for an unfinished run the best so far."""
    if policy != LAST:
        if chosen := manifests(run / BEST):
            return chosen[-1]
        if rivals := candidates(run / CANDIDATES):
            return rivals[0].manifest_path
        if policy == BEST:
            raise BadRun(f"{run} keeps no best policy: it was never evaluated; use --policy last")
    return _newest(run / CHECKPOINTS, run)


def _newest(folder: Path, named: Path) -> Path:
    found = manifests(folder)
    if not found:
        raise BadRun(f"{named} holds no checkpoint: there is no *.json in {folder}")
    return found[-1]


def newest(folder: Path, named: Path) -> Checkpoint:
    """Load the newest checkpoint in a folder.

    Args:
        folder: folder of checkpoints.
        named: path that the user gave, for the message.

    Raises:
        BadRun: there is none, or it is damaged.
    """
    return load(_newest(folder, named))


def manifests(folder: Path) -> list[Path]:
    """Return the manifests in a folder, oldest first; none if there is no folder."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def candidates(folder: Path) -> list[Checkpoint]:
    """Return the evaluated policies in a folder, best first."""
    return sorted((load(path) for path in manifests(folder)), key=_merit, reverse=True)


def _merit(candidate: Checkpoint) -> tuple[float, float, float, int]:
    """Return the sort key: the lower ends of the intervals, which are lower for few episodes."""
    try:
        evaluation = candidate.manifest["evaluation"]
        proven = float(evaluation["success_rate_low"]), float(evaluation["strict_success_rate_low"])
        return *proven, float(evaluation["mean_return"]), candidate.manifest["iteration"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadRun(
            f"{candidate.manifest_path} has no whole evaluation; remove it, or use --policy last"
        ) from error


def keep_newest(folder: Path) -> None:
    """Remove all but the `KEEP` newest checkpoints."""
    for path in manifests(folder)[:-KEEP]:
        remove(path)


def keep_best(folder: Path) -> list[Checkpoint]:
    """Remove all but the `KEEP` candidates with the best evaluations; return these, best first."""
    found = candidates(folder)
    for candidate in found[KEEP:]:
        remove(candidate.manifest_path)
    return found[:KEEP]


def remove(manifest: Path) -> None:
    """Remove a checkpoint, the manifest first: tensors without a manifest do not count."""
    manifest.unlink()
    manifest.with_suffix(".safetensors").unlink(missing_ok=True)
