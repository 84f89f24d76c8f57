"""Operations that write over what nobody else reads, in place of somewhere else in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, Node

from optbench.training.together.openblas import products, products_and_row

aten = torch.ops.aten

FRESH = (aten.bmm.default, aten.baddbmm.default, products, products_and_row)
"""Operations whose result is their own: no view of anything, and not written by anybody else."""


def in_place(graph: Graph) -> None:
    """Have activations and their gradients take the place of the products that they are of.

    Args:
        graph: of aten's operations, in order.
    """
    for node in graph.nodes:
        if node.op != "call_function" or not _is_free(node.args[0] if node.args else None):
            continue
        if node.target is aten.relu.default:
            node.target = aten.relu_.default
        elif node.target is aten.threshold_backward.default and node.args[1] is not node.args[0]:
            node.target = aten.threshold_backward.grad_input
            node.kwargs = {"grad_input": node.args[0]}


def _is_free(value: Any) -> bool:
    """Return whether a value is a fresh product that one operation reads."""
    fresh = isinstance(value, Node) and value.op == "call_function" and value.target in FRESH
    return fresh and len(value.users) == 1
