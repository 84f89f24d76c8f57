"""Whether autograd's gradients are those of the loss: against central differences, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from optbench.check.base import Finding, Skipped, failed, first_few, passed
from optbench.check.setup import Setup
from optbench.check.structure import custom_functions, doubled, in_double, own_parameters
from optbench.config.counted import counted
from optbench.training import rng
from optbench.training.player import Player

SHARE = 0.15
"""Of the time."""
EXAMPLES = 8
TOLERANCE = 1e-3
"""Relative error above which a gradient is wrong; right ones were at most 2e-5 (docs/results)."""
STEPS = (1e-6, 1e-7, 1e-8)
"""Of the differences, in units of a parameter's size; the one that agrees best counts: nets of a
million rectifiers have kinks within 1e-6, and rounding is felt from 1e-9 on."""
JIGGLE = 0.01
"""Relative: the check is at a point nearby, where no ReLU is at 0 exactly."""


class Gradients:
    """Directional derivatives, one a module; a wrong one is named with what stands nearest."""

    name = "gradients"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        asking = [player for player in setup.players if player.needs.gradients]
        if not asking:
            raise Skipped("the optimizer asks for no gradients")
        left = setup.deadline(SHARE)
        for player in asking:
            with setup.put_back():
                checked = _Checked(setup, player)
                yield from checked.first(left, len(asking))
                if player.needs.hvp or player.needs.ggn or player.needs.create_graph:
                    yield from checked.second()


@dataclass(frozen=True)
class Compared:
    """One module's derivative along a direction, as autograd and as differences have it."""

    name: str
    autograd: float
    difference: float
    scale: float

    @property
    def error(self) -> float:
        """Relative to the larger; what the loss's own rounding hides counts as none."""
        gap = abs(self.autograd - self.difference)
        return self.raw if gap > 1e-7 * self.scale else 0.0

    @property
    def raw(self) -> float:
        """The same with the rounding."""
        size = max(abs(self.autograd), abs(self.difference))
        return abs(self.autograd - self.difference) / size if size > 0 else 0.0

    @property
    def cut_off(self) -> bool:
        """Whether the loss depends on it, and autograd does not know."""
        return self.autograd == 0 and self.error > TOLERANCE


class _Checked:
    """One player's loss in float64, at a point near its start."""

    def __init__(self, setup: Setup, player: Player) -> None:
        self._name, self._several = player.name, len(setup.players) > 1
        self._task, self._seed = setup.task, setup.config.seed
        count = min(EXAMPLES, setup.few)
        with in_double():
            self._batch = doubled(setup.batch(count))
            self._modules = {name: doubled(module) for name, module in setup.modules.items()}
        self._module = self._modules[player.name]
        for module in self._modules.values():
            module.train()
            for part in module.modules():
                if isinstance(part, nn.RNNBase):
                    part.flatten_parameters()
        for name, module in self._modules.items():
            module.requires_grad_(module.training and name == player.name)
        trained = {id(p) for p in player.parameters}
        pairs = zip(player.module.parameters(), self._module.parameters(), strict=True)
        for original, copied in pairs:
            copied.requires_grad_(id(original) in trained)
        self._generator = torch.Generator().manual_seed(self._seed)
        with torch.no_grad():
            for parameter in self._module.parameters():
                parameter += JIGGLE * self._direction(parameter)

    def loss(self) -> Tensor:
        """Return the loss, of the same random numbers each time."""
        rng.seed_everything(self._seed)
        with in_double(), self._task.untouched():
            return self._task.loss(self._modules, self._batch, self._name).double()

    def _direction(self, parameter: Tensor) -> Tensor:
        """Return a random direction of the size of a parameter."""
        drawn = torch.randn(parameter.shape, generator=self._generator, dtype=torch.float64)
        size = float(parameter.detach().double().square().mean().sqrt()) if parameter.numel() else 0
        return drawn.to(parameter.device) * (size if size > 1e-3 else 0.1)

    def first(self, left: Callable[[], float], among: int) -> Iterator[Finding]:
        """Compare gradients."""
        begun = left()
        loss = self.loss()
        custom = custom_functions(loss)
        parts = own_parameters(self._module)
        everything = [p for _, module, names in parts for p in _tensors(module, names)]
        slopes: list[Tensor | None] = [None] * len(everything)
        if loss.requires_grad:
            slopes = list(grad(loss, everything, allow_unused=True))
        of = {id(p): s for p, s in zip(everything, slopes, strict=True)}
        taken = max(begun - left(), 1e-4)
        most = max(1, int(max(left(), 0) / among / taken / 2))
        compared = []
        groups = _grouped(parts, most)
        for name, parameters in groups:
            compared.append(self._best(name, parameters, [of[id(p)] for p in parameters]))
        yield self._told(compared, custom)

    def _best(
        self, name: str, parameters: Sequence[Tensor], slopes: Sequence[Tensor | None]
    ) -> Compared:
        """Compare at each step size, until one agrees."""
        tried: list[Compared] = []
        for step in STEPS:
            tried.append(self._compare(name, parameters, slopes, step))
            if tried[-1].error <= TOLERANCE:
                break
        return min(tried, key=lambda c: c.error)

    def _compare(
        self, name: str, parameters: Sequence[Tensor], slopes: Sequence[Tensor | None], step: float
    ) -> Compared:
        directions = [self._direction(p) for p in parameters]
        slope = sum(
            float((s * d).sum()) for s, d in zip(slopes, directions, strict=True) if s is not None
        )
        ends = [self._at(parameters, directions, sign * step) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / (2 * step)
        return Compared(name, slope, difference, max(1e-6, abs(ends[0])))

    def _at(self, parameters: Sequence[Tensor], directions: Sequence[Tensor], by: float) -> float:
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += by * direction
            found = float(self.loss())
            for parameter, before in zip(parameters, kept, strict=True):
                parameter.copy_(before)
        return found

    def _told(self, compared: Sequence[Compared], custom: Sequence[str]) -> Finding:
        of = f" of {self._name}" if self._several else ""
        unclear = [c.name for c in compared if not math.isfinite(c.autograd + c.difference)]
        if unclear:
            what = f"the loss{of} or its gradient is not finite, by {first_few(unclear)}"
            return failed(what, cause="an overflow, a logarithm of 0", remedy="precision=fp32")
        worst = max(compared, key=lambda c: c.error)
        if worst.error <= TOLERANCE:
            functions = f"; custom functions {first_few(custom)} are right" if custom else ""
            most = max(compared, key=lambda c: c.raw)
            return passed(
                f"autograd{of} equals central differences in float64{functions}",
                f"{counted(len(compared), 'module')}, worst {most.name}: {most.raw:.1g}",
                worst=worst.error,
            )
        return _wrong(compared, worst, custom, of)

    def second(self) -> Iterator[Finding]:
        """Compare products with the Hessian, of all parameters together."""
        parameters = [p for p in self._module.parameters() if p.requires_grad]
        directions = [self._direction(p) for p in parameters]
        try:
            slopes = grad(self.loss(), parameters, create_graph=True, materialize_grads=True)
            along = sum((s * d).sum() for s, d in zip(slopes, directions, strict=True))
            if not isinstance(along, Tensor) or not along.requires_grad:
                yield passed("the loss is linear: no second derivatives")
                return
            products = grad(along, parameters, materialize_grads=True)
        except RuntimeError as error:
            said = " ".join(str(error).split()).rstrip(".")
            remedy = "optimizer=adamw"
            yield failed(f"gradients can't be differentiated, as {remedy} would not need: {said}")
            return
        exact = sum(float((h * d).sum()) for h, d in zip(products, directions, strict=True))
        step = 1e-5
        found = [self._slope_at(parameters, directions, sign * step) for sign in (1, -1)]
        difference = (found[0] - found[1]) / (2 * step)
        one = Compared("all", exact, difference, max(1e-6, abs(found[0])))
        evidence = f"autograd {exact:.6g}, central difference {difference:.6g}"
        if one.error <= 10 * TOLERANCE:
            yield passed("second derivatives equal central differences of gradients", evidence)
        else:
            cause = "a backward that is no differentiable function itself"
            yield failed("second derivatives are wrong", evidence, cause, "optimizer=adamw")

    def _slope_at(
        self, parameters: Sequence[Tensor], directions: Sequence[Tensor], by: float
    ) -> float:
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += by * direction
        slopes = grad(self.loss(), parameters, materialize_grads=True)
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter -= by * direction
        return sum(float((s * d).sum()) for s, d in zip(slopes, directions, strict=True))


def _tensors(module: nn.Module, names: Sequence[str]) -> list[Tensor]:
    return [getattr(module, name) for name in names]


def _grouped(parts: Sequence[Any], most: int) -> list[tuple[str, list[Tensor]]]:
    """Return modules' parameters in at most so many groups of neighbours."""
    size = math.ceil(len(parts) / most)
    groups = []
    for first in range(0, len(parts), size):
        some = parts[first : first + size]
        name = some[0][0] if len(some) == 1 else f"{some[0][0]} to {some[-1][0]}"
        groups.append((name, [p for _, module, names in some for p in _tensors(module, names)]))
    return groups


def _wrong(
    compared: Sequence[Compared], worst: Compared, custom: Sequence[str], of: str
) -> Finding:
    bad = [c for c in compared if c.error > TOLERANCE]
    cut = [c for c in bad if c.cut_off]
    evidence = (
        f"worst {worst.name}: autograd {worst.autograd:.6g}, "
        f"central difference {worst.difference:.6g}"
    )
    if cut and len(cut) == len(bad):
        names = first_few(c.name for c in cut)
        return failed(
            f"the loss{of} depends on {names}, and autograd gives no gradient",
            evidence,
            "a detach(), .data, .item(), numpy or torch.no_grad() between it and the loss",
            f"take it out of the model's forward after {cut[-1].name}",
            worst=1.0,
        )
    near = f"the custom function {first_few(custom)}" if custom else "in-place changes, .data"
    return failed(
        f"wrong gradients{of} in {first_few(c.name for c in bad)}: relative error "
        f"{worst.error:.2g} by {worst.name}",
        evidence,
        f"a backward that is not its forward's derivative, after {bad[-1].name}: {near}",
        "mend the backward (torch.autograd.gradcheck); a straight-through estimate is meant so",
        worst=worst.error,
    )
