"""State of torch's Adam as named tensors, for checkpoints.

Safetensors holds one flat dictionary of tensors. torch nests the state of an optimiser, and
flattens it in torch.distributed only.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def state_dict(optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """Return all slots of all parameters as `<number of the parameter>.<slot>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{i}.{name}": torch.as_tensor(value)
        for i, slots in state.items()
        for name, value in slots.items()
    }


def load_state_dict(optimiser: torch.optim.Adam, state: Mapping[str, Tensor]) -> None:
    """Restore a state from `state_dict`, for an optimiser of the same parameters.

    Raises:
        ValueError: a slot has no parameter, or another shape or type than its parameter.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    saved = optimiser.state_dict()
    saved["state"] = {}
    for name, value in state.items():
        index, _, slot = name.partition(".")
        number = int(index)
        if not 0 <= number < len(parameters):
            raise ValueError(f"Adam has no parameter {number}")
        own = parameters[number]
        if slot != "step" and (value.shape != own.shape or value.dtype != own.dtype):
            raise ValueError(f"{slot} of Adam's parameter {number} has shape {tuple(value.shape)}")
        saved["state"].setdefault(number, {})[slot] = value
    for number, slots in saved["state"].items():
        if missing := {"step", "exp_avg", "exp_avg_sq"} - set(slots):
            raise ValueError(f"Adam's parameter {number} lacks {', '.join(sorted(missing))}")
    optimiser.load_state_dict(saved)


def warm_up() -> None:
    """Build an optimiser, because with the first one torch imports its compiler for seconds."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
