"""The state of torch's Adam as named tensors, as checkpoints keep them."""

from collections.abc import Mapping

import torch
from torch import Tensor


def state_dict(optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """All slots of all parameters, by `<number of the parameter>.<slot>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{i}.{name}": torch.as_tensor(value)
        for i, slots in state.items()
        for name, value in slots.items()
    }


def load_state_dict(optimiser: torch.optim.Adam, state: Mapping[str, Tensor]) -> None:
    """The inverse of `state_dict`, for an optimiser of the same parameters."""
    saved = optimiser.state_dict()
    saved["state"] = {}
    for name, value in state.items():
        index, _, slot = name.partition(".")
        saved["state"].setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict(saved)
