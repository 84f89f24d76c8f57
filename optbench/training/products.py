"""Products of one micro-batch's matrices with vectors: Hessian, Gauss-Newton, empirical Fisher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import grad

from optbench.errors import UserError
from optbench.tasks.base import Outputs
from optbench.training.aside import Aside

Found = Sequence[Tensor] | None
"""A product by parameter; None is 0."""

Linear = Callable[[Sequence[Tensor], bool, bool], Found]
"""Products with vectors; whether these are stacked, and whether more products are to follow."""

Inner = Callable[[Aside, Outputs, Any], Linear]
"""A matrix in those outputs of a micro-batch in which parameters have a part."""


def several(aside: Aside, make: Callable[[], Linear], vectors: Sequence[Tensor]) -> Found:
    """Return products [K, *shape] with K vectors at once, by vmap over the backward pass; one
    after the other, of the same loss, where the model has something that vmap can't."""
    again = aside.mark()
    try:
        return make()(vectors, True, False)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError):
        again()
        linear = make()
        each = [linear(vector, False, True) for vector in zip(*vectors, strict=True)]
    found = [products for products in each if products is not None]
    return [torch.stack(parts) for parts in zip(*found, strict=True)] if found else None


def hessian_at(aside: Aside, batch: Any, weight: float, parameters: Sequence[Tensor]) -> Linear:
    """Return products with the Hessian of the loss: the gradient, differentiated."""
    loss = aside.loss(batch) * weight
    with aside.precision.forward():
        slopes = grad(loss, parameters, create_graph=True, allow_unused=True)
    return lambda vectors, stacked, keep: pulled_back(slopes, vectors, parameters, stacked, keep)


def matrix_at(
    aside: Aside, inner: Inner, batch: Any, weight: float, parameters: Sequence[Tensor]
) -> Linear:
    """Return products with J^T M J, M being the matrix `inner` in the model's outputs."""
    outputs = aside.outputs(batch)
    flat = [tensor for tensor in _tensors(outputs) if tensor.requires_grad]
    if not flat:
        return lambda vectors, stacked, keep: None
    pushed, middle = _pushing(flat, parameters), inner(aside, outputs, batch)

    def product(vectors: Sequence[Tensor], stacked: bool, keep: bool) -> Found:
        curved = middle(pushed(vectors, stacked, keep), stacked, keep)
        assert curved is not None
        return pulled_back(flat, [each * weight for each in curved], parameters, stacked, keep)

    return product


def output_hessian(aside: Aside, outputs: Outputs, batch: Any) -> Linear:
    """Return products with the Hessian of the criterion in the outputs.

    Raises:
        UserError: the criterion is linear, so that it is 0.
    """
    leaves, slopes = _slopes(aside, outputs, batch, create_graph=True)
    if not any(slope is not None and slope.requires_grad for slope in slopes):
        name = type(aside.task).__name__
        raise UserError(
            f"task: the loss of {name} is linear in the model's outputs, so its Gauss-Newton "
            "matrix is 0"
        )
    return lambda vectors, stacked, keep: pulled_back(slopes, vectors, leaves, stacked, keep)


def output_squares(aside: Aside, outputs: Outputs, batch: Any) -> Linear:
    """Return products with the mean over examples of s_i s_i^T, s_i the slopes of example i's own
    loss. The criterion is a mean, so the slopes of it are s_i / n."""
    _, found = _slopes(aside, outputs, batch, create_graph=False)
    slopes = [slope.detach() for slope in found if slope is not None]

    def product(vectors: Sequence[Tensor], stacked: bool, keep: bool) -> Found:
        along = sum(
            (slope * vector).flatten(start_dim=1 + stacked).sum(dim=-1)
            for slope, vector in zip(slopes, vectors, strict=True)
        )
        assert isinstance(along, Tensor)
        return [
            len(slope) * slope * along.reshape(*along.shape, *[1] * (slope.ndim - 1))
            for slope in slopes
        ]

    return product


def _slopes(
    aside: Aside, outputs: Outputs, batch: Any, create_graph: bool
) -> tuple[list[Tensor], Sequence[Tensor | None]]:
    """Return those outputs that parameters have a part in, cut off, and the criterion's slopes."""
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if not tensor.requires_grad:
            return tensor
        leaves.append(tensor.detach().requires_grad_())
        return leaves[-1]

    loss = aside.criterion(_mapped(leaf, outputs), batch)
    if create_graph:
        return leaves, grad(loss, leaves, create_graph=True, allow_unused=True)
    return leaves, grad(loss, leaves, materialize_grads=True)


def pulled_back(
    outputs: Sequence[Tensor | None],
    vectors: Sequence[Tensor],
    inputs: Sequence[Tensor],
    stacked: bool = False,
    keep: bool = False,
) -> Found:
    """Return the transposed Jacobian of outputs in inputs times vectors; None where nothing
    depends.

    Args:
        stacked: vectors are [K, *shape].
        keep: the graph, for more products.
    """
    pairs = [
        (output, vector)
        for output, vector in zip(outputs, vectors, strict=True)
        if output is not None and output.requires_grad
    ]
    if not pairs:
        return None
    some, given = zip(*pairs, strict=True)
    if not stacked:
        return grad(some, inputs, given, retain_graph=keep, materialize_grads=True)
    found = grad(some, inputs, given, retain_graph=keep, allow_unused=True, is_grads_batched=True)
    count = len(given[0])
    return [
        each.new_zeros(count, *each.shape) if one is None else one
        for each, one in zip(inputs, found, strict=True)
    ]


def _pushing(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor]
) -> Callable[[Sequence[Tensor], bool, bool], Sequence[Tensor]]:
    """Return products with the Jacobian of outputs in inputs; the outputs' graph is kept."""
    probes = [torch.zeros_like(output, requires_grad=True) for output in outputs]
    back = grad(outputs, inputs, grad_outputs=probes, create_graph=True, allow_unused=True)

    def product(vectors: Sequence[Tensor], stacked: bool, keep: bool) -> Sequence[Tensor]:
        ahead = pulled_back(back, vectors, probes, stacked, keep)
        if ahead is not None:
            return ahead
        shape = vectors[0].shape[:1] if stacked else ()
        return [output.new_zeros(*shape, *output.shape) for output in outputs]

    return product


def _tensors(outputs: Outputs) -> list[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _mapped(note, outputs)
    return found


def _mapped(function: Callable[[Tensor], Tensor], outputs: Outputs) -> Outputs:
    """Return outputs with each tensor in them replaced, in tuples, lists and mappings."""
    if isinstance(outputs, Tensor):
        return function(outputs)
    if isinstance(outputs, Mapping):
        return {key: _mapped(function, value) for key, value in outputs.items()}
    if isinstance(outputs, list | tuple):
        values = [_mapped(function, value) for value in outputs]
        return type(outputs)(*values) if hasattr(outputs, "_fields") else type(outputs)(values)
    return outputs


def check_vectors(parameters: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool) -> None:
    """Raise ValueError unless both are lists of tensors, of the same shapes but for the stack."""
    for name, given in (("parameters", parameters), ("vectors", vectors)):
        if not isinstance(given, Sequence) or not all(isinstance(each, Tensor) for each in given):
            kind = type(given).__name__
            raise ValueError(f"{name}: expected a list of tensors, not an object of {kind}")
    if len(parameters) != len(vectors):
        raise ValueError(
            f"vectors: {len(vectors)}, where there are {len(parameters)} parameters; "
            "expected one of each one's shape"
        )
    for number, (parameter, vector) in enumerate(zip(parameters, vectors, strict=True)):
        there, here = list(vector.shape), list(parameter.shape)
        if stacked and (len(there) != len(here) + 1 or there[1:] != here):
            raise ValueError(f"vectors[{number}] is {there}, not {['K', *here]}")
        if not stacked and there != here:
            raise ValueError(f"vectors[{number}] is {there}, its parameter {here}")
