"""Kronecker factors of the Fisher matrix of each layer, and their running averages.

With a the inputs of a layer of a place in an example, g the gradients of one of the loss's terms in
what it gives, A = E[a a^T] and G = E[g g^T], the layer's block is A (x) G (Martens & Grosse 2015,
section 3). Where a layer works at several places of an example, `expand` takes each place for an
example of its own, its inputs' mean over places times the gradients' sum (Grosse & Martens 2016;
Eschenhagen et al. 2023, section 3.2); `reduce` first takes the mean of inputs and the sum of
gradients over places (section 3.3). Several calls of a layer in one forward pass are places, too,
which by `reduce` stay each on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from optbench.optim.second_order.kfac.layers import Layer

Sharing = Literal["expand", "reduce"]
State = dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """Sums of v v^T over the examples and places of a step, which need not be there as matrices.

    Attributes:
        parts: V [groups, length, n] of each micro-batch, or, of a factor that is taken for
            diagonal, the diagonals of V V^T [groups, length].
        weights: of V V^T in the sum.
    """

    parts: Sequence[Tensor]
    weights: Sequence[float]

    def add_to(self, factor: Tensor | None, keep: float, share: float) -> Tensor:
        """Return `keep` times a factor, None being 0, + `share` times the sum; the factor is
        overwritten."""
        first = self.parts[0]
        if factor is None:
            shape = first.shape if first.ndim == 2 else (*first.shape[:2], first.shape[1])
            factor, keep = first.new_zeros(shape), 0.0
        for part, weight in zip(self.parts, self.weights, strict=True):
            if part.ndim == 2:
                factor.mul_(keep).add_(part, alpha=share * weight)
            else:
                factor.baddbmm_(part, part.mT, beta=keep, alpha=share * weight)
            keep = 1.0
        return factor

    def finite(self) -> Tensor:
        """Return whether the sum is; its trace, which no entry is larger than, tells."""
        traces = [
            part.sum() if part.ndim == 2 else torch.linalg.vector_norm(part).square()
            for part in self.parts
        ]
        return torch.stack(traces).isfinite().all()


@dataclass(frozen=True)
class Matrix:
    """Such a sum that is there."""

    matrix: Tensor

    def add_to(self, factor: Tensor | None, keep: float, share: float) -> Tensor:
        """Do as `Moments.add_to`."""
        if factor is None:
            return self.matrix * share
        return factor.mul_(keep).add_(self.matrix, alpha=share)

    def finite(self) -> Tensor:
        """Do as `Moments.finite`."""
        return self.matrix.isfinite().all()


Side = Moments | Matrix


def factors_of(
    layer: Layer, seen: Sequence[Any], sharing: Sharing, largest: int, places: int, turn: int
) -> tuple[Moments, Moments]:
    """Return what A [groups, a, a] and G [groups, b, b] of a step are made of.

    Args:
        layer: whose.
        seen: what a capture has of it.
        sharing: see above.
        largest: a factor of more rows is taken for diagonal, [groups, a].
        places, turn: of a convolution, those whose inputs are looked at; see `Layer.columns`.
    """
    into, out = layer.sides
    a, g, g_weights = [], [], []
    together: Counter[int] = Counter()  # of all calls in a micro-batch
    for each in seen:
        columns = layer.columns(each.inputs, places, turn)
        rows = layer.rows(each.output_gradients)
        if sharing == "reduce" and not layer.embeds:
            columns, rows = columns.mean(dim=3, keepdim=True), rows.sum(dim=3, keepdim=True)
        if layer.embeds:
            a.append(torch.bincount(columns.reshape(-1), minlength=into).to(rows.dtype)[None])
            count = columns.numel()
        else:
            a.append(_flat(columns, diagonal=into > largest))
            count = columns.shape[0] * columns.shape[3]
        g.append(_flat(rows, diagonal=out > largest))
        together[each.micro] += count
        g_weights.append(each.weight * each.terms)
    a_weights = [each.weight / together[each.micro] for each in seen]
    return Moments(a, a_weights), Moments(g, g_weights)


def _flat(columns: Tensor, diagonal: bool) -> Tensor:
    """Return [n, groups, length, places] as `Moments` has it."""
    if diagonal:
        return columns.square().sum(dim=(0, 3))
    if columns.shape[3] == 1:
        return columns[..., 0].permute(1, 2, 0)
    return columns.permute(1, 2, 0, 3).flatten(2)


def over_ranks(
    objective: Any, layers: Sequence[Layer], found: Sequence[Sequence[Side]], largest: int
) -> list[tuple[Matrix, Matrix]]:
    """Return factors averaged over ranks.

    Args:
        objective: knows them.
        layers: the same on every rank.
        found: this rank's factors of each, none where it has no part of the batch.
        largest: see `factors_of`.
    """
    own = []
    for layer, sides in zip(layers, found, strict=True):
        if sides:
            own += [side.add_to(None, 0.0, 1.0) for side in sides]
            continue
        for length, diagonal in zip(layer.sides, (layer.embeds, False), strict=True):
            shape = (layer.groups, length, length)
            flat = diagonal or length > largest
            own.append(layer.weight.new_zeros(shape[:2] if flat else shape))
    means = [Matrix(mean) for mean in objective.mean(own)]
    return list(zip(means[::2], means[1::2], strict=True))


def average(state: State, found: Mapping[str, Side], decay: float) -> None:
    """Move running averages towards what a step has, and count them; they begin at 0."""
    state["averaged"] = state.get("averaged", 0) + 1
    for name, side in found.items():
        state[name] = side.add_to(state.get(name), decay, 1 - decay)


def averaged(state: State, name: str, decay: float) -> Tensor:
    """Return a running average without the part of the zeros that it began with."""
    found: Tensor = state[name] / (1 - decay ** state["averaged"])
    return found


def squares(layer: Layer, seen: Sequence[Any], state: State) -> Tensor:
    """Return E[(Q_G^T dW Q_A)^2] of a step, [groups, b, a]: of single examples' gradients dW in
    the factors' eigenvectors (George et al. 2018, equation 9)."""
    total = torch.zeros_like(state["scales"])
    for each in seen:
        columns, rows = layer.columns(each.inputs), layer.rows(each.output_gradients)
        if layer.embeds:
            found = _squares_of_ids(columns, turned(rows, state["G_vectors"]), layer.sides[0])
        else:
            columns = turned(columns, state["A_vectors"])
            found = _squares(columns, turned(rows, state["G_vectors"]))
        total.add_(found, alpha=each.weight * each.terms)
    return total


def rescale(state: State, found: Tensor, decay: float) -> None:
    """Move `scales` towards a step's `squares`, and count the looks since their basis changed.
    Squares that are not finite are left out.

    The first replaces the products of the factors' eigenvalues, which stand there until then; the
    mean of the looks grows from it, until a running average's weight is more.
    """
    if not bool(found.isfinite().all()):
        return
    state["rescaled"] = state.get("rescaled", 0) + 1
    state["scales"].lerp_(found, max(1 - decay, 1 / state["rescaled"]))


def turned(columns: Tensor, vectors: Tensor) -> Tensor:
    """Return columns [n, groups, length, places] in the basis of eigenvectors; as they are for
    those of a diagonal factor, which are none."""
    if vectors.numel() == 0:
        return columns
    return torch.einsum("gij,ngip->ngjp", vectors, columns)


CHUNK = 2**24
"""Numbers that gradients of single examples may take at once."""


def _squares(columns: Tensor, rows: Tensor) -> Tensor:
    if columns.shape[3] == 1:
        return torch.einsum("ngb,nga->gba", rows[..., 0].square(), columns[..., 0].square())
    size = max(1, CHUNK // (rows[0, :, :, 0].numel() * columns.shape[2]))
    parts = [
        torch.einsum("ngbp,ngap->ngba", r, c).square_().sum(dim=0)
        for r, c in zip(rows.split(size), columns.split(size), strict=True)
    ]
    return torch.stack(parts).sum(dim=0)


def _squares_of_ids(ids: Tensor, rows: Tensor, words: int) -> Tensor:
    """Return the same where columns are 1 at an id: an example's gradient is a sum by id."""
    total = rows.new_zeros(words, rows.shape[2])
    for example, row in zip(ids, rows[:, 0], strict=True):
        used, at = example.unique(return_inverse=True)
        sums = row.new_zeros(len(used), row.shape[0]).index_add_(0, at, row.t())
        total.index_add_(0, used, sums.square_())
    return total.t()[None].clone()
