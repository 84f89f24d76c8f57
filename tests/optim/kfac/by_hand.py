"""K-FAC and EKFAC of linear layers, written down as the papers have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from optbench.optim.needs import Needs


class KFACByHand(torch.optim.Optimizer):
    """Martens & Grosse 2015, sections 3 and 6.3, with kfac-pytorch's clipping and our intervals."""

    needs = Needs(objective="once", fisher="sampled")
    lr, momentum, damping, decay, kl_clip = 0.1, 0.9, 1e-3, 0.95, 1e-3

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module.parameters(), {"lr": self.lr})
        self.layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
        self.of: dict[nn.Module, dict[str, Any]] = {
            layer: {"A": 0.0, "G": 0.0, "m": 0.0, "S": None} for layer in self.layers
        }
        self.t = self.looks = 0

    def step(self, objective: Any) -> None:  # type: ignore[override]
        objective()
        if self.t % 10 == 0:
            with objective.capture(self.layers) as seen:
                objective.drawn(self.t)
            self.looks += 1
            inverts = self.looks in (1, 2, 4, 8)
            for layer in self.layers:
                self.look(self.of[layer], seen[layer][0], inverts)
        with torch.no_grad():
            self.move()
        self.t += 1

    def look(self, of: dict[str, Any], seen: Any, inverts: bool) -> None:
        n = len(seen.inputs)
        a = torch.cat([seen.inputs, torch.ones(n, 1, dtype=seen.inputs.dtype)], dim=1)
        g = n * seen.output_gradients
        of["A"] = self.decay * of["A"] + (1 - self.decay) * a.T @ a / n
        of["G"] = self.decay * of["G"] + (1 - self.decay) * g.T @ g / n
        if inverts:
            unbiased = 1 - self.decay**self.looks
            self.invert(of, of["A"] / unbiased, of["G"] / unbiased)
        self.see(of, a, g)

    def invert(self, of: dict[str, Any], a: Tensor, g: Tensor) -> None:
        pi = ((a.trace() / len(a)) / (g.trace() / len(g))).sqrt()
        root = self.damping**0.5
        of["1/A"] = torch.linalg.inv(a + pi * root * torch.eye(len(a), dtype=a.dtype))
        of["1/G"] = torch.linalg.inv(g + root / pi * torch.eye(len(g), dtype=g.dtype))

    def see(self, of: dict[str, Any], a: Tensor, g: Tensor) -> None:
        """Nothing more."""

    def direction(self, of: dict[str, Any], gradient: Tensor) -> Tensor:
        found: Tensor = of["1/G"] @ gradient @ of["1/A"]
        return found

    def move(self) -> None:
        ways, size = [], torch.zeros(())
        for layer in self.layers:
            assert layer.weight.grad is not None and layer.bias.grad is not None
            gradient = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1)
            ways.append(self.direction(self.of[layer], gradient))
            size = size + self.lr**2 * (ways[-1] * gradient).sum()
        nu = min(1.0, float((self.kl_clip / size).sqrt()))
        for layer, way in zip(self.layers, ways, strict=True):
            m = self.of[layer]["m"] = self.momentum * self.of[layer]["m"] + nu * way
            layer.weight -= self.lr * m[:, :-1]
            layer.bias -= self.lr * m[:, -1]


class EKFACByHand(KFACByHand):
    """George et al. 2018, algorithm 1."""

    def invert(self, of: dict[str, Any], a: Tensor, g: Tensor) -> None:
        of["QA"], of["QG"] = torch.linalg.eigh(a)[1], torch.linalg.eigh(g)[1]
        of["k"] = 0  # looks in these eigenvectors

    def see(self, of: dict[str, Any], a: Tensor, g: Tensor) -> None:
        each = torch.einsum("ni,nj->nij", g @ of["QG"], a @ of["QA"])
        of["k"] += 1
        new = max(1 - self.decay, 1 / of["k"])
        of["S"] = each.square().mean(dim=0) * new + (of["S"] * (1 - new) if of["k"] > 1 else 0)

    def direction(self, of: dict[str, Any], gradient: Tensor) -> Tensor:
        inside = (of["QG"].T @ gradient @ of["QA"]) / (of["S"] + self.damping)
        found: Tensor = of["QG"] @ inside @ of["QA"].T
        return found
