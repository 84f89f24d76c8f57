"""How much memory a forward pass wants, and how much it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from optbench.monitor.flops import counter
from optbench.training.attention_scores import AttentionScores

ROOM = 2**29
"""Bytes that points of a step, and what their forward passes hold, may take at once."""


def members_at_once(each: int) -> int:
    """Return how many points fit into `ROOM`, of which each wants so many bytes; at least 1."""
    return max(1, ROOM // max(1, each))


class Pass(NamedTuple):
    """What a forward pass without gradients takes.

    Attributes:
        bytes: of the largest layer's inputs and outputs, or of twice an attention's scores where
            that is more. What was before has been freed by then, so it is about what the pass takes
            at most.
        layer: floating-point operations of its products for each layer that it calls, in the mean.
    """

    bytes: int
    layer: float


def forward_pass(modules: Iterable[nn.Module], forward: Callable[[], Any]) -> Pass:
    """Return what a pass takes; of attention what it takes by vmap.

    Args:
        modules: all that take part.
        forward: does the pass.
    """
    most, calls = 0, 0

    def look(_: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal most, calls
        calls += 1
        most = max(most, _bytes(inputs) + _bytes(output))

    leaves = {each for module in modules for each in module.modules() if not any(each.children())}
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        with counter() as counted, AttentionScores() as scores:
            forward()
    finally:
        for handle in handles:
            handle.remove()
    most = max(most, 2 * scores.most)
    return Pass(most, counted.get_total_flops() / max(1, calls))


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
