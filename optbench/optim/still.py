"""A learning rate of 0 moves nothing, whatever an optimizer makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.traits import traits

Held = list[tuple[Tensor, Tensor]]
NOT_BY_LR = (torch.optim.Rprop, torch.optim.LBFGS)
"""Of torch's those whose steps are not lr times something: their least step, a line search."""


def hold_still(optimizer: torch.optim.Optimizer) -> None:
    """Has the parameters of a group stay where they are while its lr is 0.

    Steps of torch's optimizers and of our rules are multiples of lr, so nothing is done to these.
    Of others, the parameters are put back after a step. One that divides by lr (`divides_by_lr` in
    `optim/traits.py`, and L-BFGS) is shown an lr of 1 for such a step.

    Args:
        optimizer: any that holds its parameters itself.
    """
    if _steps_are_multiples_of_lr(optimizer):
        return
    divides = isinstance(optimizer, torch.optim.LBFGS) or "divides_by_lr" in traits(optimizer)
    # A step that calls the step of a class above it is in hooks twice: the outer ones are first.
    held: list[tuple[Held, list[dict[str, Any]]]] = []

    @torch.no_grad()
    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        groups = list(_resting(optimizer))
        parameters = [p for group in groups for p in group["params"]]
        held.append(([(p, p.detach().clone()) for p in parameters], groups))
        if divides:
            for group in groups:
                group["lr"] = 1.0

    @torch.no_grad()
    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        parameters, groups = held.pop()
        for parameter, value in parameters:
            parameter.copy_(value)
        if divides:
            for group in groups:
                group["lr"] = 0.0

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)


def _resting(optimizer: Any) -> Iterator[dict[str, Any]]:
    for group in optimizer.param_groups:
        lr = group.get("lr")
        if lr is not None and float(lr) == 0.0:
            yield group


def _steps_are_multiples_of_lr(optimizer: torch.optim.Optimizer) -> bool:
    if isinstance(optimizer, RuleOptimizer):
        return True
    return type(optimizer).__module__.startswith("torch.optim") and not isinstance(
        optimizer, NOT_BY_LR
    )
