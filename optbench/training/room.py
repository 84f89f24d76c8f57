"""How much memory a forward pass wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOM = 2**29
"""Bytes that points of a step, and what their forward passes hold, may take at once."""


def members_at_once(each: int) -> int:
    """Return how many points fit into `ROOM`, of which each wants so many bytes; at least 1."""
    return max(1, ROOM // max(1, each))


def forward_bytes(modules: Iterable[nn.Module], forward: Callable[[], Any]) -> int:
    """Return the bytes of the largest layer's inputs and outputs in a pass without gradients.

    Layers before it have been freed by then, so it is about what the pass takes at most.

    Args:
        modules: all that take part.
        forward: does the pass.
    """
    most = 0

    def look(_: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal most
        most = max(most, _bytes(inputs) + _bytes(output))

    leaves = {each for module in modules for each in module.modules() if not any(each.children())}
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return most


def free_bytes(device: torch.device) -> float:
    """Return the bytes of memory that are free; 0 where nobody says."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("MemAvailable"))
        return float(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        return 0.0


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return tensor_bytes([value])
    inside = value.values() if isinstance(value, dict) else value
    return sum(map(_bytes, inside)) if isinstance(inside, list | tuple) else 0
