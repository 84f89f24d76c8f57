"""A coordinate-wise LSTM (Andrychowicz et al. 2016, Learning to learn by gradient descent)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.optim.learned.base import CHUNK, Sizes, Weights

LAYERS, HIDDEN, INPUTS = 2, 20, 2
LOG_RANGE = 10.0
"""p of the paper: gradients below exp(-p) are given as they are, scaled."""
OUTPUT_SCALE = 0.1


class CoordinateLSTM:
    """Two layers of 20, the same for every coordinate, each of which has a state of its own.

    Weights are named and shaped as those of `torch.nn.LSTM(2, 20, 2)`, with `lstm.` before, and of
    a `torch.nn.Linear(20, 1)`, with `out.`.
    """

    memory = 2 * LAYERS * HIDDEN

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its weights."""
        found: dict[str, tuple[int, ...]] = {}
        for layer in range(LAYERS):
            found[f"lstm.weight_ih_l{layer}"] = (4 * HIDDEN, HIDDEN if layer else INPUTS)
            found[f"lstm.weight_hh_l{layer}"] = (4 * HIDDEN, HIDDEN)
            found[f"lstm.bias_ih_l{layer}"] = (4 * HIDDEN,)
            found[f"lstm.bias_hh_l{layer}"] = (4 * HIDDEN,)
        return found | {"out.weight": (1, HIDDEN), "out.bias": (1,)}

    def draw(self, seed: int) -> dict[str, Tensor]:
        """Return weights as torch begins with, the last layer's a tenth."""
        generator = torch.Generator().manual_seed(seed)
        bound = HIDDEN**-0.5
        found = {
            name: (2 * torch.rand(shape, generator=generator) - 1) * bound
            for name, shape in self.shapes().items()
        }
        return {n: w * 0.1 if n.startswith("out.") else w for n, w in found.items()}

    def update(
        self,
        weights: Weights,
        point: Tensor,
        gradient: Tensor,
        memory: Tensor,
        tensors: Sequence[Sizes],
        step: int,
    ) -> tuple[Tensor, Tensor]:
        """Return what is added to the coordinates, and their new memory."""
        inputs = log_and_sign(gradient)
        pieces = [
            self._cells(weights, x, old)
            for x, old in zip(inputs.split(CHUNK), memory.split(CHUNK), strict=True)
        ]
        outputs, kept = zip(*pieces, strict=True)
        return torch.cat(outputs), torch.cat(kept)

    def _cells(self, weights: Weights, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        kept = []
        parts = memory.split(HIDDEN, dim=1)
        for layer in range(LAYERS):
            hidden, cell = parts[2 * layer : 2 * layer + 2]
            bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
            gates = torch.addmm(bias, x, weights[f"lstm.weight_ih_l{layer}"].t())
            gates = gates + hidden @ weights[f"lstm.weight_hh_l{layer}"].t()
            enter, forget, new, leave = gates.chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            x = leave.sigmoid() * cell.tanh()
            kept += [x, cell]
        outputs = torch.addmm(weights["out.bias"], x, weights["out.weight"].t())
        return OUTPUT_SCALE * outputs.squeeze(1), torch.cat(kept, dim=1)


def log_and_sign(gradient: Tensor) -> Tensor:
    """Return [n, 2]: log and sign of gradients, scaled (the paper's appendix A)."""
    size = gradient.abs()
    least = math.exp(-LOG_RANGE)
    large = size >= least
    logs = torch.where(large, size, 1.0).log() / LOG_RANGE
    first = torch.where(large, logs, -1.0)
    second = torch.where(large, gradient.sign(), gradient / least)
    return torch.stack([first, second], dim=1)
