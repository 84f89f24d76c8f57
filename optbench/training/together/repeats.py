"""Operations that give what is there already: no others are called for it."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, Node

from optbench.torch_internals import unsafe_view

aten = torch.ops.aten

SAME_SHAPE = (aten.view.default, unsafe_view, aten.expand.default)
"""Operations that give their argument itself, where that has the shape already."""


def without_repeats(graph: Graph) -> None:
    """Have each value of a graph come of one operation, the first that gives it.

    Args:
        graph: of aten's operations that change none of their arguments and draw nothing, with
            the values that `make_fx` has noted.
    """
    known: dict[Any, Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        first = _given(node)
        if first is None or _leaves(node, first):
            key = (node.target, repr(node.args), repr(node.kwargs))  # nodes by their names
            first = known.setdefault(key, node)
        if first is not node:
            node.replace_all_uses_with(first)
    graph.eliminate_dead_code()


def _given(node: Node) -> Node | None:
    """Return the node that has the value already, None where there is none."""
    argument = node.args[0] if node.args else None
    if not isinstance(argument, Node) or node.kwargs:
        return None
    if node.target is aten.transpose.int and argument.target is aten.transpose.int:
        inner = argument.args[0]
        back = set(node.args[1:]) == set(argument.args[1:])
        return inner if back and isinstance(inner, Node) else None
    if node.target is aten.alias.default:
        return argument
    value, other = node.meta.get("val"), argument.meta.get("val")  # unknown of what is not noted
    if not (isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor)):
        return None  # one of several that an operation gives
    if (value.shape, value.dtype) != (other.shape, other.dtype):
        return None
    once = node.target is aten.mul.Scalar and type(node.args[1]) is int and node.args[1] == 1
    return argument if once or node.target in SAME_SHAPE else None


def _leaves(node: Node, first: Node) -> bool:
    """Return whether the whole would give one of its own arguments, which others may change."""
    return first.op == "placeholder" and any(user.op == "output" for user in node.users)
