"""Slow transcriptions of papers and textbooks, one parameter at a time, to compare ours with.

"Optimization Algorithms" is "Optimization Algorithms - SGD, Adam, and Learning Rate Schedules".

Each is `(theta, g, state, t, **settings) -> new theta`; `state` starts with the
lr that the optimizer was made with, `t` at 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
Update = Callable[..., Tensor]


def heavy_ball(
    theta: Tensor, g: Tensor, s: State, t: int, lr: float, momentum: float, weight_decay: float
) -> Tensor:
    """Optimization Algorithms, 3.4."""
    g = g + weight_decay * theta
    before = s.get("before", theta)
    s["before"] = theta
    return theta - lr * g + momentum * (theta - before)


def momentum(
    theta: Tensor, g: Tensor, s: State, t: int, lr: float, momentum: float, weight_decay: float
) -> Tensor:
    """Optimization Algorithms, 3.5's class SGDMomentum."""
    g = g + weight_decay * theta
    s["v"] = momentum * s.get("v", 0) + lr * g
    return theta - s["v"]


def adagrad_eps_inside(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    eps: float,
    initial_accumulator_value: float,
    weight_decay: float,
) -> Tensor:
    """Optimization Algorithms, 4.1."""
    g = g + weight_decay * theta
    s["G"] = s.get("G", initial_accumulator_value) + g**2
    return theta - lr / torch.sqrt(s["G"] + eps) * g


def rmsprop_eps_inside(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
) -> Tensor:
    """Optimization Algorithms, 4.2."""
    g = g + weight_decay * theta
    s["G"] = alpha * s.get("G", 0) + (1 - alpha) * g**2
    return theta - lr / torch.sqrt(s["G"] + eps) * g


def moments(g: Tensor, s: State, betas: Any) -> tuple[Tensor, Tensor]:
    """Adam's, uncorrected."""
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    return s["m"], s["v"]


def amsgrad(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    betas: Any,
    eps: float,
    weight_decay: float,
) -> Tensor:
    """Optimization Algorithms, 4.4, with AdamW's decay."""
    m, v = moments(g, s, betas)
    v_hat = v / (1 - betas[1] ** t)
    s["largest"] = torch.maximum(s.get("largest", torch.zeros_like(v)), v_hat)
    m_hat = m / (1 - betas[0] ** t)
    return theta - lr * (m_hat / (torch.sqrt(s["largest"]) + eps)) - lr * weight_decay * theta


def adabound(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    betas: Any,
    final_lr: float,
    gamma: float,
    eps: float,
    weight_decay: float,
    ams: bool = False,
) -> Tensor:
    """Luo et al. 2019, algorithm 2, as in the authors' code."""
    m, v = moments(g + weight_decay * theta, s, betas)
    if ams:
        s["largest"] = v = torch.maximum(s.get("largest", torch.zeros_like(v)), v)
    step_size = lr * (1 - betas[1] ** t) ** 0.5 / (1 - betas[0] ** t)
    final = final_lr * lr / s["base_lr"]
    lower, upper = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
    return theta - torch.clamp(step_size / (torch.sqrt(v) + eps), lower, upper) * m


def amsbound(theta: Tensor, g: Tensor, s: State, t: int, **settings: Any) -> Tensor:
    """The same over the largest v."""
    return adabound(theta, g, s, t, ams=True, **settings)


def lion(
    theta: Tensor, g: Tensor, s: State, t: int, lr: float, betas: Any, weight_decay: float
) -> Tensor:
    """Chen et al. 2023, algorithm 2."""
    m = s.get("m", torch.zeros_like(g))
    c = betas[0] * m + (1 - betas[0]) * g
    s["m"] = betas[1] * m + (1 - betas[1]) * g
    return theta - lr * (torch.sign(c) + weight_decay * theta)


def adabelief(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    betas: Any,
    eps: float,
    weight_decay: float,
) -> Tensor:
    """Zhuang et al. 2020, algorithm 2."""
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["s"] = betas[1] * s.get("s", 0) + (1 - betas[1]) * (g - s["m"]) ** 2 + eps
    m_hat, s_hat = s["m"] / (1 - betas[0] ** t), s["s"] / (1 - betas[1] ** t)
    return theta - lr * m_hat / (torch.sqrt(s_hat) + eps) - lr * weight_decay * theta


def adan(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    betas: Any,
    eps: float,
    weight_decay: float,
) -> Tensor:
    """Xie et al. 2022, algorithm 1, with bias corrections."""
    b1, b2, b3 = betas
    d = g - s.get("g", g)
    s["g"] = g
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * d
    s["n"] = b3 * s.get("n", 0) + (1 - b3) * (g + b2 * d) ** 2
    root = torch.sqrt(s["n"] / (1 - b3**t)) + eps
    u = (s["m"] / (1 - b1**t) + b2 * s["v"] / (1 - b2**t)) / root
    return (theta - lr * u) / (1 + lr * weight_decay)


def lamb(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    betas: Any,
    eps: float,
    weight_decay: float,
) -> Tensor:
    """You et al. 2020, algorithm 2."""
    m, v = moments(g, s, betas)
    r = m / (1 - betas[0] ** t) / (torch.sqrt(v / (1 - betas[1] ** t)) + eps)
    u = r + weight_decay * theta
    norms = theta.norm(), u.norm()
    trust = norms[0] / norms[1] if norms[0] > 0 and norms[1] > 0 else 1.0
    return theta - lr * trust * u


def lars(
    theta: Tensor,
    g: Tensor,
    s: State,
    t: int,
    lr: float,
    momentum: float,
    trust_coefficient: float,
    weight_decay: float,
) -> Tensor:
    """You et al. 2017, algorithm 1; vectors by plain momentum."""
    local: Any = 1.0
    if theta.ndim > 1:
        over, under = trust_coefficient * theta.norm(), g.norm() + weight_decay * theta.norm()
        local = over / under if over > 0 and under > 0 else 1.0
        g = g + weight_decay * theta
    s["v"] = momentum * s.get("v", 0) + lr * local * g
    return theta - s["v"]


class Slow:
    """An update as an optimizer, as far as the tests need one."""

    def __init__(self, update: Update, parameters: Iterable[Tensor], **settings: Any) -> None:
        self.update, self.settings, self.t = update, settings, 0
        self.param_groups: list[dict[str, Any]] = [
            {"params": list(parameters), "lr": settings.pop("lr")}
        ]
        group = self.param_groups[0]
        self.states: list[State] = [{"base_lr": group["lr"]} for _ in group["params"]]

    def zero_grad(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        self.t += 1
        group = self.param_groups[0]
        for parameter, state in zip(group["params"], self.states, strict=True):
            if parameter.grad is not None:
                theta, g = parameter.detach().clone(), parameter.grad.clone()
                new = self.update(theta, g, state, self.t, lr=group["lr"], **self.settings)
                parameter.copy_(new)
