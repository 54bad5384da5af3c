"""A policy from an ONNX file, run by onnxruntime; the robot needs no torch and no onnx."""

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
import onnxruntime

from handlab_core.environment.policies.policy_kinds import ONNX_FILE
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

OBSERVATION, ACTION, MEMORY = "observation", "action", "_next"
"""Names of input and output, and suffix of outputs that are inputs of the next step."""

SILENT = 3
"""Severity of onnxruntime's log: errors only."""


class OnnxPolicy:
    """Acts as an ONNX file says; implements `handlab_core.environment.policies.policy.Policy`.

    It does not explore: its noise is zero.

    Args:
        content: bytes of the file.
        version: version of the policy.
        where: the policy's name in messages.

    Raises:
        BadRun: the bytes are no ONNX file of a policy.
    """

    def __init__(self, content: bytes, version: int, where: str = "the policy") -> None:
        self.content, self._version = content, version
        self._memory: dict[str, Array] = {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        try:
            self._session: Any = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common base
            text = " ".join(str(error).split())[:200]
            raise BadRun(f"{where} is no ONNX file: {text}") from None
        self._inputs = {given.name: given for given in self._session.get_inputs()}
        self._outputs = [made.name for made in self._session.get_outputs()]
        kept = {name.removesuffix(MEMORY) for name in self._outputs if name.endswith(MEMORY)}
        if OBSERVATION not in self._inputs or ACTION not in self._outputs:
            raise BadRun(f"{where} is no policy: it has no {OBSERVATION} and {ACTION}")
        if kept != set(self._inputs) - {OBSERVATION}:
            raise BadRun(f"{where} is no policy: its memory does not come out again")

    @property
    def version(self) -> int:
        """See `Policy.version`."""
        return self._version

    @property
    def metadata(self) -> dict[str, str]:
        """Return the metadata of the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def sizes(self) -> tuple[int, int]:
        """Return the sizes of observation and action."""
        [action] = [made for made in self._session.get_outputs() if made.name == ACTION]
        return int(self._inputs[OBSERVATION].shape[-1]), int(action.shape[-1])

    def begin(self) -> "OnnxPolicy":
        """See `Policy.begin`; memory begins at 0."""
        fresh = copy(self)
        fresh._memory = {}
        return fresh

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; noise has no effect."""
        feed = {OBSERVATION: np.ascontiguousarray(observation, dtype=np.float64)}
        for name, given in self._inputs.items():
            if name != OBSERVATION:
                start = np.zeros((len(observation), int(given.shape[-1])))
                feed[name] = self._memory.get(name, start)
        made = dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))
        self._memory = {
            name.removesuffix(MEMORY): value
            for name, value in made.items()
            if name.endswith(MEMORY)
        }
        action: Array = made[ACTION]
        return action

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        return np.zeros((steps, self.sizes()[1]))

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`: the bytes of the file."""
        bytes_: Any = np.frombuffer(self.content, dtype=np.uint8)
        return {ONNX_FILE: bytes_}

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "OnnxPolicy":
        """Build a policy from the bytes of `tensors`; see `policy_kinds.policy_from_tensors`.

        Raises:
            BadRun: the bytes are no policy with these sizes.
        """
        content = np.asarray(named[ONNX_FILE])
        if set(named) != {ONNX_FILE} or content.dtype != np.uint8 or content.ndim != 1:
            raise BadRun(f"{where} is no ONNX file")
        policy = cls(content.tobytes(), version, where)
        if policy.sizes() != (spaces.observation, spaces.action):
            raise BadRun(
                f"{where} has sizes {policy.sizes()} of observation and action; the task needs "
                f"{(spaces.observation, spaces.action)}"
            )
        return policy
