"""Kinds of policies, as checkpoints and messages hold them."""

from collections.abc import Mapping
from typing import Any

from handlab_core.environment.policies.gait_policy import OFFSET, GaitPolicy
from handlab_core.environment.policies.linear_policy import GAIN, LinearPolicy
from handlab_core.environment.policies.planning_policy import PLANNER, PlanningPolicy
from handlab_core.environment.policies.policy import GaussianPolicy, Policy
from handlab_core.environment.policies.pose_cycle_policy import POSES, PoseCyclePolicy
from handlab_core.environment.policies.random_motion import JOINT, RandomMotion
from handlab_core.environment.policies.residual_policy import BASE_PREFIX, BOUND, ResidualPolicy
from handlab_core.environment.policies.squashed_policy import EXPONENT, SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.hardware.backend_table import load
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

MOST_NESTED = 4
"""Largest number of residual policies inside each other; a run on a corrected policy adds one."""

ONNX_FILE = "onnx_file"
"""Name of the tensor that only a policy from an ONNX file has: the bytes of the file."""

ONNX_POLICY = "handlab_learning.models.onnx_policy:OnnxPolicy"
"""Class of such policies, which is imported when there is one."""


def policy_from_tensors(
    named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
) -> Policy:
    """Build a policy of any kind from the arrays of its `tensors`, which say the kind.

    Args:
        named: arrays by name.
        version: version of the policy.
        spaces: sizes of the observation and of the action.
        where: the policy's name in messages.

    Raises:
        BadRun: an array is missing or unknown, or of another type or shape than the task needs, or
            a value is not finite or out of bounds; names the array.
    """
    if ONNX_FILE in named:
        onnx: Any = load(ONNX_POLICY)
        policy: Policy = onnx.from_tensors(named, version, spaces, where)
        return policy
    nested = BASE_PREFIX * MOST_NESTED + BOUND
    if nested in named:
        raise BadRun(f"{where} corrects a policy that corrects others; {MOST_NESTED} can be nested")
    if BOUND in named:
        of_base = {
            name.removeprefix(BASE_PREFIX): array
            for name, array in named.items()
            if name.startswith(BASE_PREFIX)
        }
        own = {name: array for name, array in named.items() if not name.startswith(BASE_PREFIX)}
        base = policy_from_tensors(of_base, version, spaces, f"the base of {where}")
        return ResidualPolicy.from_tensors(own, version, spaces, base, where)
    if OFFSET in named:
        return GaitPolicy.from_tensors(named, version, spaces, where)
    if GAIN in named:
        return LinearPolicy.from_tensors(named, version, spaces, where)
    if PLANNER in named:
        return PlanningPolicy.from_tensors(named, version, spaces, where)
    if JOINT in named:
        return RandomMotion.from_tensors(named, version, spaces, where)
    if POSES in named:
        return PoseCyclePolicy.from_tensors(named, version, spaces, where)
    kind = SquashedPolicy if EXPONENT in named else GaussianPolicy
    return kind.from_tensors(named, version, spaces, where)
