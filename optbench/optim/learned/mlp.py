"""A small MLP for each parameter (Metz et al. 2020, 2022: `small_fc_lopt`), with other features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.optim.learned.base import CHUNK, Sizes, Weights

DECAYS = (0.5, 0.9, 0.99, 0.99)
"""Of three averages of the gradient, and of its square's."""
TIMES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Steps after which a feature of the step says that they are over."""
OWN, SHARED = 6, 6 + len(TIMES)
"""Features of a coordinate, and of its tensor and the step."""
HIDDEN = 32
STEP_SCALE = 0.01
LARGEST = 5.0
"""Bound of the exponent, so that no step is 150 times the usual one."""
SMALL_SQUARE = 1e-12
SMALL_POINT = 1e-8


class ParameterMLP:
    """An MLP of 19 inputs and two layers of 32 that gives direction and magnitude of a step.

        step = 0.01 * direction * exp(magnitude), subtracted; |magnitude| < 5

    Features of a coordinate: the gradient and its averages over 2, 10, 100 steps, bias-corrected
    and divided by the root of the averaged square; that root beside its tensor's, as a logarithm;
    the parameter in units of its tensor's. Of a tensor: the sizes of parameters and gradients, the
    number of coordinates, as logarithms, and whether it has up to 1, 2, or more dimensions. Of the
    step: tanh(step / time) for 7 times.
    """

    memory = len(DECAYS)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its weights."""
        return {
            "in.weight": (HIDDEN, OWN + SHARED),
            "in.bias": (HIDDEN,),
            "hidden.weight": (HIDDEN, HIDDEN),
            "hidden.bias": (HIDDEN,),
            "out.weight": (2, HIDDEN),
            "out.bias": (2,),
        }

    def draw(self, seed: int) -> dict[str, Tensor]:
        """Return weights that step nearly as Adam with an lr of 0.0037, the rest of them drawn.

        Two units of each layer carry the positive and the negative part of the average over 10
        steps, from which meta-training sets out.
        """
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for name, shape in self.shapes().items():
            spread = 0.0 if name.endswith("bias") else shape[-1] ** -0.5
            found[name] = torch.randn(shape, generator=generator) * spread
        found["out.weight"] *= 0.1
        average = 2  # among the features: the one of decay 0.9
        for name in ("in.weight", "hidden.weight"):
            found[name][:2] = 0.0
        for unit, sign in enumerate((1.0, -1.0)):
            found["in.weight"][unit, average] = sign
            found["hidden.weight"][unit, unit] = 1.0
            found["out.weight"][:, unit] = torch.tensor([sign, 0.0])
        found["out.bias"][1] = -1.0
        return found

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
        keep = torch.tensor(DECAYS, dtype=gradient.dtype, device=gradient.device)
        seen = torch.stack([gradient, gradient, gradient, gradient * gradient], dim=1)
        memory = memory + (1 - keep) * (seen - memory)
        own, shared = _features(point, gradient, memory / (1 - keep**step), tensors, step)
        first, bias = weights["in.weight"], weights["in.bias"]
        shared = torch.addmm(bias, shared, first[:, OWN:].t())
        which = torch.arange(len(tensors), device=point.device)
        which = which.repeat_interleave(torch.tensor([t.size for t in tensors]).to(point.device))
        steps = []
        for rows, tensor in zip(own.split(CHUNK), which.split(CHUNK), strict=True):
            hidden = (rows @ first[:, :OWN].t() + shared[tensor]).relu()
            hidden = torch.addmm(weights["hidden.bias"], hidden, weights["hidden.weight"].t())
            out = torch.addmm(weights["out.bias"], hidden.relu(), weights["out.weight"].t())
            magnitude = LARGEST * (out[:, 1] / LARGEST).tanh()
            steps.append(-STEP_SCALE * out[:, 0] * magnitude.exp())
        return torch.cat(steps), memory


def _features(
    point: Tensor, gradient: Tensor, averages: Tensor, tensors: Sequence[Sizes], step: int
) -> tuple[Tensor, Tensor]:
    """Return the features of the coordinates, [n, OWN], and of their tensors, [tensors, SHARED]."""
    counts = [t.size for t in tensors]
    square = averages[:, 3] + SMALL_SQUARE
    squares = torch.stack([each.mean() for each in square.split(counts)])
    sizes = torch.stack([each.square().mean() for each in point.split(counts)]) + SMALL_POINT
    per = torch.tensor(counts, device=point.device)
    spread_square = squares.repeat_interleave(per)
    in_its_size = point * sizes.rsqrt().repeat_interleave(per)
    own = torch.cat(
        [
            torch.cat([gradient.unsqueeze(1), averages[:, :3]], 1) * square.rsqrt().unsqueeze(1),
            (0.25 * (square / spread_square).log()).unsqueeze(1),
            in_its_size.clamp(-5, 5).unsqueeze(1),
        ],
        dim=1,
    )
    kinds = [[t.dims <= 1, t.dims == 2, t.dims > 2] for t in tensors]
    kind = torch.tensor(kinds, dtype=point.dtype, device=point.device)
    many = torch.tensor(counts, dtype=point.dtype, device=point.device).log10() / 4
    told = torch.stack([sizes.log10() / 4, squares.log10() / 8, many], dim=1)
    times = torch.tensor(TIMES, dtype=point.dtype, device=point.device)
    clock = (step / times).tanh().expand(len(tensors), -1)
    return own, torch.cat([told, kind, clock], dim=1)
