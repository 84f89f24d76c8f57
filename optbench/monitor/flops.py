"""Floating-point operations of a training step, counted as it is taken."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from optbench.torch_internals import ATTENTION_OF_CPUS, RECURRENT_KERNELS

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


def counter() -> FlopCounterMode:
    """Return a counter to work under; `get_total_flops()` says how many there were.

    torch's own, which counts products of matrices, convolutions and attention (a multiplication and
    an addition are 2), and nothing that works element by element; with attention on a CPU and with
    recurrent layers' kernels, which torch's leaves out.
    """
    from torch.utils.flop_counter import FlopCounterMode  # 70 ms, for which no other run waits

    attention, its_backward = ATTENTION_OF_CPUS
    mapping: dict[Any, Any] = {attention: _attention, its_backward: _attention_backward}
    for kernel, backward in RECURRENT_KERNELS:
        mapping[kernel] = _recurrent
        mapping[backward] = _recurrent_backward
    return FlopCounterMode(display=False, custom_mapping=mapping)


def _attention(query: Shape, key: Shape, value: Shape, *args: Any, **unused: Any) -> int:
    """Return the two products of attention, masked or not: scores, and what they pick."""
    *rows, queries, width = query
    return 2 * prod(rows) * queries * key[-2] * (width + value[-1])


def _attention_backward(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *args: Any, **unused: Any
) -> int:
    """Return the five products of its backward: the scores once more, and four gradients."""
    *rows, queries, width = query
    return 2 * prod(rows) * queries * key[-2] * (3 * width + 2 * value[-1])


def _recurrent(inputs: Shape, *args: Any, **unused: Any) -> int:
    """Return the products of one layer: each weight matrix with each place of each sequence."""
    places = prod(inputs[:-1])
    return 2 * places * sum(map(prod, _matrices(args)))


def _recurrent_backward(inputs: Shape, *args: Any, **unused: Any) -> int:
    """Return twice those: gradients of what went in, and of the weights."""
    return 2 * _recurrent(inputs, *args)


def _matrices(args: tuple[Any, ...]) -> list[Shape]:
    """Return the shapes of the weight matrices, which come first, alone or in a list."""
    given = list(args[0]) if args and args[0] and isinstance(args[0][0], tuple) else list(args)
    found: list[Shape] = []
    for shape in given:
        if not (isinstance(shape, tuple) and all(isinstance(side, int) for side in shape)):
            break
        if len(shape) != 2:
            break
        found.append(shape)
    return found
