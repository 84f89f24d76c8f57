"""What a GPU could do faster, by what it is and what the model is made of."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from optbench.config.run_config import RunConfig
from optbench.torch_internals import ConvBase

AMPERE = (8, 0)
"""Compute capability from which on a GPU has units for bf16 and TF32 (NVIDIA's A100 whitepaper)."""
VOLTA = (7, 0)
"""From which on it has units for half precision, whose convolutions want channels last."""


def faster_ways(
    config: RunConfig, modules: Iterable[nn.Module], capability: tuple[int, int] | None
) -> list[str]:
    """Return overrides that may make steps faster, for who wants to try them.

    Args:
        config: of the run.
        modules: the players'.
        capability: of the GPU; None where there is none.
    """
    if capability is None:
        return []
    inside = [each for module in modules for each in module.modules()]
    precision, found = config.precision, []
    if precision.autocast is None and capability >= AMPERE:
        found.append("precision=bf16")
        if precision.matmul == "highest":
            found.append("precision=tf32")
    halved = precision.autocast is not None or found
    images = any(isinstance(each, ConvBase) and each.weight.ndim == 4 for each in inside)
    if images and not config.channels_last and halved and capability >= VOLTA:
        found.append("channels_last=true")
    return found


def capability_of(device: torch.device) -> tuple[int, int] | None:
    """Return a GPU's compute capability, None of a CPU."""
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None
