"""Gradients times the inverse of a layer's block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from optbench.optim.second_order.kfac.factors import State
from optbench.optim.second_order.kfac.inverses import Method
from optbench.optim.second_order.kfac.layers import Layer

Scale = float | Tensor
"""A number; on a GPU a tensor of one, which nobody waits for."""


class Direction(Protocol):
    """A layer's preconditioned gradient d, which need not be there as a whole."""

    def dot(self) -> Tensor:
        """Return <d, gradient>, of each parameter of the layer."""

    def move(self, buffers: Sequence[Tensor], momentum: float, scale: Scale) -> None:
        """Make buffers, in the parameters' shapes, `momentum` times these + `scale` times d."""


@dataclass(frozen=True)
class Whole:
    """One that is there.

    Attributes:
        tensors, gradients: d and the gradient of each parameter.
    """

    tensors: Sequence[Tensor]
    gradients: Sequence[Tensor]

    def dot(self) -> Tensor:
        """Return <d, gradient>, of each parameter of the layer."""
        pairs = zip(self.tensors, self.gradients, strict=True)
        return torch.stack([d.flatten() @ g.flatten().to(d.dtype) for d, g in pairs])

    def move(self, buffers: Sequence[Tensor], momentum: float, scale: Scale) -> None:
        """Make buffers `momentum` times these + `scale` times d."""
        for buffer, d in zip(buffers, self.tensors, strict=True):
            d, alpha = _alpha_of(d, scale)
            buffer.mul_(momentum).add_(d, alpha=alpha)


@dataclass(frozen=True)
class Product:
    """One of a linear layer, as L^T R, of the gradient B^T X.

    Attributes:
        left, right: L [n, b] and R [n, a].
        b, x: B [n, b] and X [n, a].
        bias: whether a's last entry is the bias's.
    """

    left: Tensor
    right: Tensor
    b: Tensor
    x: Tensor
    bias: bool

    def dot(self) -> Tensor:
        """Return <L^T R, B^T X>: of the weight, and of the bias."""
        outer = self.left @ self.b.t()
        whole = torch.sum(outer * (self.right @ self.x.t()))
        if not self.bias:
            return whole[None]
        of_bias = self.right[:, -1] @ (outer.t() @ self.x[:, -1])
        return torch.stack([whole - of_bias, of_bias])

    def move(self, buffers: Sequence[Tensor], momentum: float, scale: Scale) -> None:
        """Make buffers `momentum` times these + `scale` times d."""
        left, alpha = _alpha_of(self.left.t(), scale)
        right = self.right[:, :-1] if self.bias else self.right
        buffers[0].addmm_(left, right, beta=momentum, alpha=alpha)
        if self.bias:
            buffers[1].addmv_(left, self.right[:, -1], beta=momentum, alpha=alpha)


def _alpha_of(tensor: Tensor, scale: Scale) -> tuple[Tensor, float]:
    """Return a tensor and a factor, whose product is the tensor times the scale."""
    if isinstance(scale, Tensor):
        return tensor * scale.to(tensor.dtype), 1.0
    return tensor, scale


def kl_scale(size: Tensor, most: float) -> Tensor:
    """Return nu, by which a step of this squared size is one of at most `most`."""
    return torch.where(size > 0, (most / size).sqrt().clamp(max=1.0), 1.0)


def preconditioned(
    layer: Layer, state: State, method: Method, damping: float, seen: Sequence[Any], seed: int
) -> Direction:
    """Return the gradients of a layer's parameters times the inverse of its block.

    Args:
        layer: whose; its parameters have gradients.
        state: with `invert`'s results.
        method: theirs.
        damping: of `eigen` and `ekfac`; in the others' inverses it is already.
        seen: inputs and output gradients that may make up the gradient, none if they are not known.
        seed: of a check.
    """
    if method == "cholesky" and seen:
        x, b = _parts(layer, seen)
        digits = max(torch.finfo(each.output_gradients.dtype).eps for each in seen)
        scale = _scale(layer, (x, b), digits, seed)
        if scale is not None:
            b = b if abs(scale - 1) <= digits else b * scale
            left, right = b @ state["G_inverse"][0], x @ state["A_inverse"][0]
            return Product(left, right, b, x, layer.bias is not None)
    matrix = layer.matrix().to(state["A"].dtype)
    if method == "cholesky":
        right = _times(matrix, state["A_inverse"], left=False)
        matrix = _times(right, state["G_inverse"], left=True)
    else:
        of_a, of_g = state["A_vectors"], state["G_vectors"]
        inside = _into(of_g, _into(of_a, matrix.mT).mT) / (state["scales"] + damping)
        matrix = _out_of(of_g, _out_of(of_a, inside.mT).mT)
    gradients = [p.grad for p in layer.parameters if p.grad is not None]
    return Whole(layer.split(matrix), gradients)


def pays(layer: Layer, rows: int) -> bool:
    """Return whether it is less work to precondition the gradient's parts than the gradient.

    The gradient of a linear layer is B^T X, with as many rows as the batch has.
    """
    into, out = layer.sides
    return rows * (into * into + out * out + into * out) < 0.8 * into * out * (into + out)


def splits(layer: Layer, state: State) -> bool:
    """Return whether a layer's gradient may be preconditioned by its parts."""
    return isinstance(layer.module, torch.nn.Linear) and state["A"].ndim == state["G"].ndim == 3


Parts = tuple[Tensor, Tensor]


def _parts(layer: Layer, seen: Sequence[Any]) -> Parts:
    """Return X [n, a] and B [n, b]."""
    x = [layer.columns(each.inputs)[:, 0].transpose(1, 2).flatten(0, 1) for each in seen]
    b = [
        layer.rows(each.output_gradients)[:, 0].transpose(1, 2).flatten(0, 1) * each.weight
        for each in seen
    ]
    return (x[0], b[0]) if len(x) == 1 else (torch.cat(x), torch.cat(b))


def _scale(layer: Layer, parts: Parts, digits: float, seed: int) -> float | None:
    """Return by what B^T X has to be multiplied to be the gradient, None if nothing makes it so.

    Clipping by the norm multiplies it; clipping by values, a wrapper, or whatever else has changed
    gradients makes it another. Both are held against each other on a random vector; `digits` is the
    relative rounding error of a number.
    """
    gradient = layer.weight.grad
    assert gradient is not None
    x, b = parts
    generator = torch.Generator(x.device).manual_seed(seed)
    vector = torch.randn(gradient.shape[1], generator=generator, device=x.device).to(x.dtype)
    found = gradient.to(x.dtype) @ vector
    wanted = b.t() @ (x[:, : len(vector)] @ vector)
    if layer.bias is not None:
        assert layer.bias.grad is not None
        found = torch.cat([found, layer.bias.grad.to(x.dtype)])
        wanted = torch.cat([wanted, b.sum(dim=0)])
    size = torch.dot(wanted, wanted)
    scale = torch.dot(found, wanted) / size
    off = (found - scale * wanted).norm() / found.norm()
    if bool((off <= min(digits**0.5, 4e-2)) & scale.isfinite()):
        return float(scale)
    return None


def _times(matrix: Tensor, inverse: Tensor, left: bool) -> Tensor:
    """Return [groups, b, a] times a symmetric inverse, or a diagonal one, of a side."""
    if inverse.ndim == 2:
        return matrix * (inverse[:, :, None] if left else inverse[:, None, :])
    return inverse @ matrix if left else matrix @ inverse


def _into(vectors: Tensor, columns: Tensor) -> Tensor:
    """Return V^T M; M itself for a diagonal factor's vectors, which are none."""
    return vectors.mT @ columns if vectors.numel() else columns


def _out_of(vectors: Tensor, columns: Tensor) -> Tensor:
    """Return V M; M itself for a diagonal factor's vectors, which are none."""
    return vectors @ columns if vectors.numel() else columns
