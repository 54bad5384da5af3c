"""A skill as one file: an ONNX policy with its card and a checksum.

The card is JSON in the file's metadata. The checksum is the SHA-256 of the file, in which the 64
digits of the checksum itself count as zeros.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired

import numpy as np
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from handlab_core.environment.policies.policy import Policy, layout_json
from handlab_core.errors import BadRun, LayoutMismatch
from handlab_core.system.files import parse_json, read_bytes, shown_path, write_atomically
from handlab_core.system.optional_packages import packages_of
from handlab_core.system.provenance import commit
from handlab_core.system.validation import Index, NotNegative, Positive, Text, build
from handlab_core.tasks.learnable import LearnableTask
from handlab_learning.runs.checkpoint import Checkpoint

SUFFIX = ".onnx"

FORMAT = 1
"""Version of the card; increases when older cards can no longer be read."""

CARD, CHECKSUM = "handlab_card", "handlab_sha256"
"""Keys of the metadata."""

ZEROS = "0" * 64

MOST_BYTES = 256 << 20
"""bytes; largest file; policies of this project have less than one hundredth of it."""


@with_config(ConfigDict(extra="allow"))
class Card(TypedDict):
    """Facts of a skill."""

    format: Literal[1]
    task: Text
    hand: Text
    reward: Text
    layout: Text
    iteration: Index
    version: Index
    rate: NotRequired[Positive]
    """Hz; rate of actions."""
    joints: NotRequired[list[Text]]
    limits: NotRequired[dict[str, list[float]]]
    """rad and rad/s; `lower`, `upper` and `max_rate` of each joint."""
    robot_hours: NotRequired[NotNegative | None]


def card_of(task: LearnableTask) -> dict[str, Any]:
    """Return the facts of a task that a skill depends on."""
    facts: dict[str, Any] = {
        "task": task.name,
        "hand": task.hand_name,
        "reward": task.reward,
        "layout": layout_json(task.layout),
    }
    period, hand = getattr(task, "period", None), getattr(task, "hand", None)
    if period is not None:
        facts["rate"] = round(1.0 / period, 9)
    if hand is not None:
        limits = {name: getattr(hand, name).tolist() for name in ("lower", "upper", "max_rate")}
        facts |= {"joints": list(hand.joints), "limits": limits, "smoothing": task.smoothing}  # type: ignore[attr-defined]  # has a hand
    return facts


def export(saved: Checkpoint, path: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Write the policy of a checkpoint as a skill; return its card.

    Args:
        saved: the checkpoint.
        path: file to write.
        summary: of the run, as far as it has one: robot-hours, success, seeds.

    Raises:
        BadRun: the checkpoint is damaged, or of a kind that has no ONNX form.
        CannotWrite: the file cannot be written.
    """
    with packages_of("onnx"):  # the package onnx only writes
        from handlab_learning.models.onnx_graph import to_onnx

    task, manifest = saved.task(), saved.manifest
    model = to_onnx(saved.policy(task), task.spaces)
    measured = {
        name: value
        for name, value in summary.items()
        if name.startswith(("success_rate", "strict_success_rate"))
        or name in ("robot_hours", "algorithm", "backend", "seed", "interval", "mean_return",
                    "evaluation_episodes", "commit")
    }  # fmt: skip
    card = {
        "format": FORMAT,
        **card_of(task),
        "iteration": manifest["iteration"],
        "version": manifest["version"],
        **measured,
        "success": str(task.success),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "exported_by": commit(),
    }
    build(Card, card, "the card", BadRun)
    for key, value in ((CARD, json.dumps(card)), (CHECKSUM, ZEROS)):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = model.SerializeToString()
    write_atomically(path, content.replace(ZEROS.encode(), checksum(content).encode(), 1))
    return card


def checksum(content: bytes) -> str:
    """Return the checksum of a file whose own checksum is zeros."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Skill:
    """A skill; it can be evaluated as a checkpoint can (`handlab_learning.runs.checkpoint`)."""

    manifest_path: Path
    """The file."""
    manifest: dict[str, Any]
    """The card."""
    content: bytes

    def named(self) -> dict[str, Any]:
        """See `Checkpoint.named`."""
        iteration = self.manifest["iteration"]
        return {"policy": "skill", "iteration": iteration, "checkpoint": str(self.manifest_path)}

    def task(self) -> LearnableTask:
        """See `Checkpoint.task`."""
        return Checkpoint(self.manifest_path, self.manifest).task()

    def policy(self, task: LearnableTask | None = None) -> Policy:
        """See `Checkpoint.policy`; the task must be the skill's in hand, rate and limits, too."""
        from handlab_core.environment.policies.policy_kinds import ONNX_FILE

        with packages_of("onnx"):
            from handlab_learning.models.onnx_policy import OnnxPolicy

        task = task or self.task()
        if found := differences(self.manifest, card_of(task)):
            raise LayoutMismatch(f"{shown_path(self.manifest_path)}: {'; '.join(found)}")
        where = f"the policy in {shown_path(self.manifest_path)}"
        content: Any = np.frombuffer(self.content, dtype=np.uint8)
        return OnnxPolicy.from_tensors(
            {ONNX_FILE: content}, self.manifest["version"], task.spaces, where
        )


def differences(card: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fact in which a skill does not fit.

    The reward decides no action, so that it may differ.
    """
    found = []
    for name in ("hand", "task", "rate", "joints", "layout", "smoothing"):
        if card.get(name) != wanted.get(name):
            unit = " Hz" if name == "rate" else ""
            found.append(
                f"it was made for the {name} {card.get(name)}{unit}, and runs on "
                f"{wanted.get(name)}{unit}"
            )
            if name in ("hand", "task"):
                return found  # which explains the others
    theirs, ours = card.get("limits") or {}, wanted.get("limits") or {}
    return found + [
        f"its limits `{name}` are {theirs.get(name)}, the hand's {ours.get(name)}"
        for name in sorted(set(theirs) | set(ours))
        if theirs.get(name) != ours.get(name)
    ]


def load_skill(path: Path) -> Skill:
    """Read a skill, and check its checksum and its card.

    Raises:
        BadRun: the file is missing, changed, or no skill.
    """
    with packages_of("onnx"):
        from handlab_learning.models.onnx_policy import OnnxPolicy

    content = read_bytes(path, BadRun, MOST_BYTES)
    shown = shown_path(path)
    metadata = OnnxPolicy(content, 0, shown).metadata
    if CARD not in metadata or CHECKSUM not in metadata:
        raise BadRun(f"{shown} has no card of handlab: write it by `./handlab export RUN`")
    kept = metadata[CHECKSUM]
    if checksum(content.replace(kept.encode(), ZEROS.encode(), 1)) != kept:
        raise BadRun(f"{shown} was changed or damaged: its checksum is wrong; copy it again")
    card = parse_json(metadata[CARD], f"the card of {shown}", BadRun)
    return Skill(path, dict(build(Card, card, f"the card of {shown}", BadRun)), content)
