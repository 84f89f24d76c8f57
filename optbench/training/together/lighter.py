"""Operations that give the same as others, up to rounding, in less time on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from optbench.torch_internals import log_softmax, log_softmax_backward, unsafe_view
from optbench.training.together.repeats import without_repeats

aten = torch.ops.aten

FEW = 16
"""Numbers in a row below which torch's softmax takes them one by one."""


def lighter(module: GraphModule) -> GraphModule:
    """Replace what takes longer than it has to, on a CPU; return the module.

    Args:
        module: of aten's operations, as `make_fx` notes them.
    """
    graph = module.graph
    without_repeats(graph)
    for node in list(graph.nodes):
        replace = _REPLACED.get(node.target) if node.op == "call_function" else None
        if replace is None or _on_a_gpu(node):
            continue
        with graph.inserting_before(node):
            other = replace(node)
        if other is not None:
            other.meta["val"] = _value(node)
            node.replace_all_uses_with(other)
    graph.eliminate_dead_code()
    without_repeats(graph)
    module.recompile()
    return module


def _on_a_gpu(node: Node) -> bool:
    return bool(_value(node).device.type != "cpu")


def _value(node: Any) -> torch.Tensor:
    """Return a tensor that is shaped as a node's."""
    found: torch.Tensor = node.meta["val"]
    return found


def _call(node: Node, operation: Any, *arguments: Any) -> Node:
    return node.graph.call_function(operation, arguments)


def _log_softmax(node: Node) -> Node | None:
    """By vectors over all rows, in place of number by number within each."""
    inputs, dim, to_float = node.args[0], node.args[1], node.args[2]
    if to_float or not _few_in_a_row(node, dim):
        return None
    largest = _call(node, aten.amax.default, inputs, [dim], True)
    below = _call(node, aten.sub.Tensor, inputs, largest)
    total = _call(node, aten.sum.dim_IntList, _call(node, aten.exp.default, below), [dim], True)
    return _call(node, aten.sub.Tensor, below, _call(node, aten.log.default, total))


def _log_softmax_backward(node: Node) -> Node | None:
    gradient, output, dim = node.args[0], node.args[1], node.args[2]
    if not _few_in_a_row(node, dim):
        return None
    total = _call(node, aten.sum.dim_IntList, gradient, [dim], True)
    taken = _call(node, aten.mul.Tensor, _call(node, aten.exp.default, output), total)
    return _call(node, aten.sub.Tensor, gradient, taken)


def _few_in_a_row(node: Node, dim: Any) -> bool:
    value = _value(node)
    return dim % value.ndim == value.ndim - 1 and value.shape[-1] < FEW and value.is_contiguous()


def _product(node: Node) -> Node | None:
    """The transposed product of a first factor that is transposed itself: where that has the longer
    rows, and where it is what is given, which is copied slowly otherwise."""
    first, second = node.args[0], node.args[1]
    rows, columns = _value(node).shape[1:]
    turned = isinstance(first, Node) and first.target is aten.transpose.int
    if not turned or set(first.args[1:]) != {1, 2}:  # type: ignore[union-attr]
        return None
    if rows <= columns and not _is_given_turned(node):
        return None
    turned_second = _call(node, aten.transpose.int, second, 1, 2)
    product = _call(node, aten.bmm.default, turned_second, first.args[0])  # type: ignore[union-attr]
    return _call(node, aten.transpose.int, product, 1, 2)


def _biased(node: Node) -> Node | None:
    """A product and a row that is added to each of its rows, in one pass over what comes of it."""
    row, other = node.args[0], node.args[1]
    product = other
    while isinstance(product, Node) and product.target in _SAME and len(product.users) == 1:
        if _value(product).shape != _value(node).shape:
            return None
        product = product.args[0]
    alone = isinstance(product, Node) and product.target is aten.bmm.default
    if not alone or len(product.users) != 1 or node.kwargs or not isinstance(row, Node):  # type: ignore[union-attr]
        return None
    members, _, width = _value(node).shape
    if _value(row).shape != (members, 1, width) or _value(row).dtype != _value(node).dtype:
        return None
    return _call(node, aten.baddbmm.default, row, *product.args)  # type: ignore[union-attr]


def _is_given_turned(node: Node) -> bool:
    """Return whether a result is one of the whole's, transposed, and nothing else."""
    users = list(node.users)
    while len(users) == 1 and users[0].target is aten.view.default:
        if _value(users[0]).shape != _value(node).shape:
            return False
        users = list(users[0].users)
    turned = len(users) == 1 and users[0].target is aten.transpose.int
    return turned and all(user.op == "output" for user in users[0].users)


_SAME = (aten.view.default, unsafe_view)
_REPLACED: dict[Any, Callable[[Node], Node | None]] = {
    aten.add.Tensor: _biased,
    log_softmax: _log_softmax,
    log_softmax_backward: _log_softmax_backward,
    aten.bmm.default: _product,
}
