"""Operations that give the same as others, up to rounding, in less time on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from optbench.torch_internals import log_softmax, log_softmax_backward, unsafe_view
from optbench.training.together.in_place import in_place
from optbench.training.together.openblas import by_openblas
from optbench.training.together.repeats import without_repeats

aten = torch.ops.aten

FEW = 16
"""Numbers in a row below which torch's softmax takes them one by one."""


def lighter(module: GraphModule, places: Sequence[Tensor] = ()) -> GraphModule:
    """Replace what takes longer than it has to, on a CPU; return the module.

    Args:
        module: of aten's operations, as `make_fx` notes them.
        places: see `by_openblas`.
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
    _copy_where_turned(graph)
    by_openblas(module, places)
    in_place(graph)
    module.recompile()
    return module


def _copy_where_turned(graph: Graph) -> None:
    """Let what comes of a turned product be copied where its numbers don't lie as a view needs."""
    turned: set[Node] = set()
    for node in graph.nodes:
        product = _is_turned(node) and node.args[0].target in _PRODUCTS
        if not product and turned.isdisjoint(node.all_input_nodes):
            continue
        turned.add(node)
        if node.target in _SAME:
            node.target = aten.reshape.default


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
    """The transposed product of the transposed factors: where the first is transposed itself and
    that has the longer rows, or is what is given, which is copied slowly otherwise; and where the
    second is and few numbers in a row come of it, which take twice as long."""
    first, second = node.args[0], node.args[1]
    rows, columns = _value(node).shape[1:]
    longer = _is_turned(first) and (rows > columns or _is_given_turned(node))
    if not longer and not (_is_turned(second) and columns < min(rows, FEW)):
        return None
    return _turned_back(node, aten.bmm.default, _turned(node, second), _turned(node, first))


def _is_turned(factor: Any) -> bool:
    transposed = isinstance(factor, Node) and factor.target is aten.transpose.int
    return transposed and set(factor.args[1:]) == {1, 2}


def _turned(node: Node, factor: Any) -> Node:
    """Return a factor of a node's transposed."""
    if _is_turned(factor):
        found: Node = factor.args[0]
        return found
    return _call(node, aten.transpose.int, factor, 1, 2)


def _turned_back(node: Node, operation: Any, *arguments: Any) -> Node:
    """Return what takes the place of a node: the transposed result of an operation."""
    result = _call(node, operation, *arguments)
    result.meta["val"] = _value(node).transpose(1, 2)
    return _call(node, aten.transpose.int, result, 1, 2)


def _biased(node: Node) -> Node | None:
    """A product and a row that is added to each of its rows, in one pass over what comes of it."""
    row: Any = node.args[0]
    product: Any = node.args[1]
    while _once(product) and product.target in _SAME:
        product = product.args[0]
    turned = _once(product) and _is_turned(product)
    inner: Any = product.args[0] if turned else product
    if not (_once(inner) and inner.target is aten.bmm.default) or node.kwargs:
        return None
    shape, like = _value(product).shape, _value(node)
    if not isinstance(row, Node) or (like.shape, like.dtype) != (shape, _value(row).dtype):
        return None
    if _value(row).shape != (shape[0], 1, shape[2]):
        return None
    if not turned:
        return _call(node, aten.baddbmm.default, row, *inner.args)
    row = _call(node, aten.transpose.int, row, 1, 2)
    return _turned_back(node, aten.baddbmm.default, row, *inner.args)


def _once(value: Any) -> bool:
    """Return whether a value is a node's that one other asks for."""
    return isinstance(value, Node) and len(value.users) == 1


def _is_given_turned(node: Node) -> bool:
    """Return whether a result is one of the whole's, transposed, and nothing else."""
    users = list(node.users)
    while len(users) == 1 and users[0].target is aten.view.default:
        if _value(users[0]).shape != _value(node).shape:
            return False
        users = list(users[0].users)
    turned = len(users) == 1 and users[0].target is aten.transpose.int
    return turned and all(user.op == "output" for user in users[0].users)


_PRODUCTS = (aten.bmm.default, aten.baddbmm.default)
_SAME = (aten.view.default, unsafe_view)
_REPLACED: dict[Any, Callable[[Node], Node | None]] = {
    aten.add.Tensor: _biased,
    log_softmax: _log_softmax,
    log_softmax_backward: _log_softmax_backward,
    aten.bmm.default: _product,
}
