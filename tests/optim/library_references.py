"""What the rows of library optimizers are compared with: transcriptions of the papers where the
rule is short, else the library's class made by hand."""

from __future__ import annotations

from typing import Any

import pytorch_optimizer
import torch
from torch import Tensor, nn

from optbench.optim.first_order.heavy_ball import HeavyBall

from .problem import Make


class ByHand(torch.optim.Optimizer):
    """Numbers of its own by parameter, in float64 and one after the other."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})
        self.weights = [p for group in self.param_groups for p in group["params"]]
        self.own: list[dict[str, Tensor]] = [{} for _ in self.weights]
        self.t = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One update of each."""
        self.t += 1
        for weight, own in zip(self.weights, self.own, strict=True):
            assert weight.grad is not None
            self.move(weight, weight.grad, own)

    def move(self, weight: Tensor, gradient: Tensor, own: dict[str, Tensor]) -> None:
        """The rule."""
        raise NotImplementedError


class ScheduleFree(ByHand):
    """Defazio et al. 2024, equations (3) to (5) and algorithm 1, constant lr: the gradient is
    taken at y, which stands in the model."""

    def __init__(self, params: Any, lr: float, beta: float, beta2: float | None) -> None:
        super().__init__(params)
        self.lr, self.beta, self.beta2 = lr, beta, beta2

    def move(self, weight: Tensor, gradient: Tensor, own: dict[str, Tensor]) -> None:
        """z moves, x averages, y lies between."""
        z, x = own.get("z", weight.clone()), own.get("x", weight.clone())
        if self.beta2 is not None:
            v = own["v"] = self.beta2 * own.get("v", 0) + (1 - self.beta2) * gradient**2
            gradient = gradient / ((v / (1 - self.beta2**self.t)).sqrt() + 1e-8)
        own["z"] = z - self.lr * gradient
        own["x"] = (1 - 1 / self.t) * x + own["z"] / self.t
        weight.copy_((1 - self.beta) * own["z"] + self.beta * own["x"])


def schedule_free(lr: float, beta: float, beta2: float | None = None) -> Make:
    """The transcription over a module's parameters."""
    return lambda module: ScheduleFree(module.parameters(), lr, beta, beta2)


def library(cls: Any, **settings: Any) -> Make:
    """The class itself."""

    def make(module: nn.Module) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = cls(module.parameters(), **settings)
        return made

    return make


LIBRARIES: dict[str, Make] = {
    "schedulefree": schedule_free(2.5e-3, 0.9, 0.999),
    "schedulefree_sgd": schedule_free(1.0, 0.9),
    "soap": library(pytorch_optimizer.SOAP, lr=3e-3, betas=(0.95, 0.95), weight_decay=1e-2),
    "shampoo": library(
        pytorch_optimizer.ScalableShampoo,
        lr=1e-3,
        moving_average_for_momentum=True,
        start_preconditioning_step=25,
        preconditioning_compute_steps=10,
        graft_type=2,
    ),
    "zoo": library(pytorch_optimizer.MADGRAD, lr=1e-3, momentum=0.8),
    "custom": library(HeavyBall, momentum=0.8),
}
"""By YAML."""
