"""Loading an optimizer's state without a bit of it changing."""

from __future__ import annotations

from typing import Any

import torch


def load_exactly(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
    """`optimizer.load_state_dict` that keeps the dtype of every state tensor.

    torch casts floating-point state to its parameter's dtype. NAdam's `mu_product` is float32
    beside float64 parameters, so after a plain load its product goes on in another precision.

    Args:
        optimizer: over the same parameters, in the same order, as the one saved.
        state_dict: what its `state_dict()` gave.
    """
    optimizer.load_state_dict(state_dict)
    _restore_dtypes(optimizer, state_dict)


def _restore_dtypes(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
    if hasattr(optimizer, "members"):
        for member, saved in zip(optimizer.members, state_dict["members"], strict=True):
            _restore_dtypes(member, saved)
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, saved in state_dict["state"].items():
        state = optimizer.state[parameters[index]]
        for key, value in saved.items():
            if torch.is_tensor(value) and state[key].dtype != value.dtype:
                state[key] = value.clone().to(state[key].device)
