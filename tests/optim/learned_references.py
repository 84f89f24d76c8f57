"""Learned rules, written down plainly: tensor after tensor, as their descriptions say."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from optbench.optim.learned.weights import DEFAULT, load_rule


def mlp_update(w: dict[str, Tensor], theta: Tensor, g: Tensor, s: dict[str, Any], t: int) -> Tensor:
    """`ParameterMLP`, of one tensor."""
    means = {}
    for name, decay, seen in (("a", 0.5, g), ("b", 0.9, g), ("c", 0.99, g), ("v", 0.99, g * g)):
        s[name] = decay * s.get(name, torch.zeros_like(g)) + (1 - decay) * seen
        means[name] = s[name] / (1 - decay**t)
    root = (means["v"] + 1e-12).sqrt()
    mean_square = (means["v"] + 1e-12).mean()
    size = (theta * theta).mean() + 1e-8
    shared = [math.log10(size) / 4, math.log10(mean_square) / 8, math.log10(theta.numel()) / 4]
    shared += [float(theta.ndim <= 1), float(theta.ndim == 2), float(theta.ndim > 2)]
    shared += [math.tanh(t / time) for time in (3, 10, 30, 100, 300, 1000, 3000)]
    columns = [g / root, means["a"] / root, means["b"] / root, means["c"] / root]
    columns += [0.5 * (root / mean_square.sqrt()).log(), (theta / size.sqrt()).clamp(-5, 5)]
    columns += [torch.full_like(g, each) for each in shared]
    x = torch.stack(columns, dim=-1)
    x = torch.relu(nn.functional.linear(x, w["in.weight"], w["in.bias"]))
    x = torch.relu(nn.functional.linear(x, w["hidden.weight"], w["hidden.bias"]))
    direction, magnitude = nn.functional.linear(x, w["out.weight"], w["out.bias"]).unbind(-1)
    return theta - 0.01 * direction * torch.exp(5 * torch.tanh(magnitude / 5))


class LearnedByHand(torch.optim.Optimizer):
    """The rule that comes with optbench, over a module's parameters."""

    def __init__(self, module: nn.Module) -> None:
        _, found = load_rule(DEFAULT)
        super().__init__(module.parameters(), {})
        parameters = self.param_groups[0]["params"]
        self.rule = {name: each.to(parameters[0].dtype) for name, each in found.items()}
        self.states: list[dict[str, Any]] = [{} for _ in parameters]
        self.t = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.t += 1
        for p, s in zip(self.param_groups[0]["params"], self.states, strict=True):
            p.copy_(mlp_update(self.rule, p, p.grad, s, self.t))
