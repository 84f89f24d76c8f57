"""Transcriptions of second-order methods over the small problem, dense and in float64.

Matrices are torch.func's. What is shared with the optimizers is the strong Wolfe search alone,
which has tests of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev
from torch.nn.functional import cross_entropy

from optbench.optim.second_order.line_search import Trial, strong_wolfe


class Dense(torch.optim.Optimizer):
    """Moves one vector, by what the whole loss says of it."""

    def __init__(self, module: nn.Module, **settings: Any) -> None:
        from .problem import data  # which imports the table that this is part of

        super().__init__(module.parameters(), {"lr": 1.0})
        self.module, self.k = module, settings
        self.inputs, self.targets = data(next(module.parameters()).dtype)
        self.x = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
        self.begin()

    def begin(self) -> None:
        """What it starts with."""

    def logits(self, x: Tensor) -> Tensor:
        """Of all examples at x."""
        values, at = {}, 0
        for name, p in self.module.named_parameters():
            values[name] = x[at : at + p.numel()].view_as(p)
            at += p.numel()
        found: Tensor = functional_call(self.module, values, (self.inputs,))
        return found

    def f(self, x: Tensor) -> Tensor:
        """The loss at x."""
        return cross_entropy(self.logits(x), self.targets)

    def g(self, x: Tensor) -> Tensor:
        """Its gradient."""
        found: Tensor = grad(self.f)(x)
        return found

    def fisher(self, x: Tensor) -> Tensor:
        """The expectation of squared scores over the model's own labels, which is the GGN."""
        logp = jacrev(lambda x: self.logits(x).log_softmax(dim=1))(x).detach()
        p = self.logits(x).detach().softmax(dim=1)
        found: Tensor = torch.einsum("nc,nci,ncj->ij", p, logp, logp) / len(p)
        return found

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        self.x = self.moved(self.x)
        nn.utils.vector_to_parameters(self.x, self.module.parameters())

    def moved(self, x: Tensor) -> Tensor:
        """The next point."""
        raise NotImplementedError


def halved(f: Callable[[Tensor], Tensor], x: Tensor, d: Tensor, slope: Tensor) -> float | None:
    """Armijo's rule."""
    for t in (0.5**k for k in range(25)):
        slack = 4 * torch.finfo(x.dtype).eps * abs(f(x))
        if f(x + t * d) <= f(x) + 1e-4 * t * slope + slack:
            return t
    return None


class NewtonByHand(Dense):
    """Martens 2010 with whole matrices; |H| where H is not positive definite."""

    def begin(self) -> None:
        self.damping = 1e-3

    def moved(self, x: Tensor) -> Tensor:
        """Damping by the reduction ratio."""
        g = self.g(x)
        b = self.fisher(x) if self.k["ggn"] else jacrev(grad(self.f))(x)
        b = (b + b.T) / 2
        values, vectors = torch.linalg.eigh(b)
        if values[0] + self.damping <= 0:
            values = values.abs()
        d = -vectors @ ((vectors.T @ g) / (values + self.damping))
        ratio = (self.f(x + d) - self.f(x)) / (g @ d + d @ b @ d / 2)
        t = halved(self.f, x, d, g @ d)
        if ratio < 0.25:
            self.damping *= 1.5
        elif ratio > 0.75:
            self.damping = max(self.damping / 1.5, 1e-8)
        return x + (t or 0.0) * d


class MarquardtByHand(Dense):
    """Marquardt 1963: a tenth, or ten times."""

    def begin(self) -> None:
        self.damping = 1e-2

    def moved(self, x: Tensor) -> Tensor:
        """Tries up to 8."""
        g, b = self.g(x), self.fisher(x)
        for _ in range(8):
            d = -torch.linalg.solve(b + self.damping * torch.eye(len(x), dtype=x.dtype), g)
            if self.f(x + d) < self.f(x):
                self.damping = max(self.damping / 10, 1e-8)
                return x + d
            self.damping *= 10
        return x


class NaturalByHand(Dense):
    """Amari 1998, bounded by the KL divergence."""

    def moved(self, x: Tensor) -> Tensor:
        """By the Fisher matrix as an expectation."""
        b = self.fisher(x)
        d = -torch.linalg.solve(b + 1e-3 * torch.eye(len(x), dtype=x.dtype), self.g(x))
        return x + min(1.0, math.sqrt(2e-2 / float(d @ b @ d))) * d


class QuasiByHand(Dense):
    """BFGS, or L-BFGS by as many updates of a scaled identity."""

    def begin(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def inverse(self, n: int, dtype: torch.dtype) -> Tensor:
        """H of the pairs, the oldest first, as products of whole matrices."""
        eye = torch.eye(n, dtype=dtype)
        if not self.pairs:
            return eye
        s, y = self.pairs[-1 if self.k["newest"] else 0]
        h = eye * (s @ y) / (y @ y)
        for s, y in self.pairs[-self.k["most"] :]:
            v = eye - torch.outer(y, s) / (s @ y)
            h = v.T @ h @ v + torch.outer(s, s) / (s @ y)
        return h

    def moved(self, x: Tensor) -> Tensor:
        """One direction."""
        g = self.g(x)
        d = -self.inverse(len(x), x.dtype) @ g
        first = 1.0 if self.pairs else min(1.0, 1.0 / float(g.abs().sum()))

        def at(t: float) -> Trial:
            there = self.g(x + t * d)
            return Trial(t, float(self.f(x + t * d)), float(there @ d), there)

        if self.k["wolfe"]:
            fuzz = 4 * torch.finfo(x.dtype).eps * abs(float(self.f(x)))
            found = strong_wolfe(at, Trial(0.0, float(self.f(x)), float(g @ d)), first, fuzz)
            assert found is not None
            t = found.size
        else:
            t = first * (halved(self.f, x, first * d, first * (g @ d)) or 0.0)
        s = t * d
        y = self.g(x + s) - g
        if not self.k["wolfe"]:  # Powell: B s = -t g
            bs = -t * g
            theta = 1.0
            if s @ y < 0.2 * (s @ bs):
                theta = float(0.8 * (s @ bs) / (s @ bs - s @ y))
            y = theta * y + (1 - theta) * bs
        self.pairs.append((s, y))
        return x + s


class RankOneByHand(Dense):
    """Nocedal, Wright 2006, algorithm 6.2; the subproblem by bisection."""

    def begin(self) -> None:
        self.b = torch.eye(len(self.x), dtype=self.x.dtype)
        self.radius = 1.0

    def subproblem(self, g: Tensor) -> Tensor:
        """The minimum within the radius."""
        values, vectors = torch.linalg.eigh(self.b)
        along = vectors.T @ g

        def s(shift: float) -> Tensor:
            return -(along / (values + shift))

        if values[0] > 0 and s(0.0).norm() <= self.radius:
            return vectors @ s(0.0)
        low = max(0.0, -float(values[0]))
        high = low + float(g.norm()) / self.radius + 1.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if s(middle).norm() > self.radius else (low, middle)
        return vectors @ s(high)

    def moved(self, x: Tensor) -> Tensor:
        """Takes or leaves a step; learns from both."""
        g = self.g(x)
        s = self.subproblem(g)
        y = self.g(x + s) - g
        ratio = (self.f(x + s) - self.f(x)) / (g @ s + s @ self.b @ s / 2)
        if ratio > 0.75 and s.norm() > 0.8 * self.radius:
            self.radius *= 2
        elif ratio < 0.1:
            self.radius /= 2
        rest = y - self.b @ s
        if abs(s @ rest) >= 1e-8 * s.norm() * rest.norm():
            self.b = self.b + torch.outer(rest, rest) / (s @ rest)
        return x + s if ratio > 1e-4 else x


def _by(cls: type[Dense], **settings: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda module: cls(module, **settings)


SECOND_ORDER = {
    "newton": _by(NewtonByHand, ggn=False),
    "gauss_newton": _by(NewtonByHand, ggn=True),
    "levenberg_marquardt": _by(MarquardtByHand),
    "natural_gradient": _by(NaturalByHand),
    "bfgs": _by(QuasiByHand, newest=False, most=10_000, wolfe=True),
    "lbfgs_multibatch": _by(QuasiByHand, newest=True, most=10, wolfe=False),
    "sr1": _by(RankOneByHand),
}
"""By YAML, with its settings."""
