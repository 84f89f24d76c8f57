"""What an optimizer may ask of a step, by the shortest way: for a classifier, without a trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn.functional import cross_entropy


class Plain:
    """The mean cross-entropy of a module's logits for some examples."""

    def __init__(self, module: nn.Module, inputs: Tensor, targets: Tensor) -> None:
        self.module, self.inputs, self.targets = module, inputs, targets

    def mean_loss(self) -> Tensor:
        """With a graph."""
        return cross_entropy(self.module(self.inputs), self.targets)

    def __call__(self) -> Tensor:
        for parameter in self.module.parameters():
            parameter.grad = None
        loss = self.mean_loss()
        loss.backward()
        return loss

    def loss(self) -> Tensor:
        """Without."""
        with torch.no_grad():
            return self.mean_loss()

    @torch.enable_grad()
    def gradients(self, wanted: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Beside the loss."""
        loss = self.mean_loss()
        return loss.detach(), list(grad(loss, wanted))

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Nothing is kept here."""
        yield

    @torch.enable_grad()
    def hvp(
        self, wanted: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool = False
    ) -> Any:
        """H v."""
        slopes = grad(self.mean_loss(), wanted, create_graph=True)
        return grad(
            slopes, wanted, vectors, materialize_grads=not stacked, is_grads_batched=stacked
        )

    @torch.enable_grad()
    def ggnvp(
        self, wanted: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool = False
    ) -> Any:
        """J^T (diag p - p p^T) J v / n, with the whole Jacobian."""
        logits = self.module(self.inputs)
        units = torch.eye(logits.numel(), dtype=logits.dtype).view(-1, *logits.shape)
        rows = grad(logits, wanted, units, is_grads_batched=True)
        jacobian = torch.cat([row.flatten(1) for row in rows], dim=1)
        p = logits.detach().softmax(dim=1)
        inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        ahead = 1 if stacked else 0
        flat = torch.cat([vector.flatten(ahead) for vector in vectors], dim=-1)
        out = (flat @ jacobian.T).reshape(*flat.shape[:-1], *logits.shape)
        curved = torch.einsum("nij,...nj->...ni", inner, out) / len(logits)
        product = curved.flatten(ahead) @ jacobian
        parts = product.split([w.numel() for w in wanted], dim=-1)
        return [
            part.reshape(*product.shape[:-1], *w.shape)
            for part, w in zip(parts, wanted, strict=True)
        ]
