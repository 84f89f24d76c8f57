"""A learning rate of 0 moves nothing, whatever an optimizer makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from types import MethodType
from typing import Any

import torch

from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.needs import needs_of

NOT_BY_LR = (torch.optim.Rprop, torch.optim.LBFGS)
"""Of torch's those whose steps are not lr times something: their least step, a line search."""


def hold_still(optimizer: torch.optim.Optimizer) -> None:
    """Have the parameters of a group stay where they are while its lr is 0.

    Steps of torch's optimizers and of our rules are multiples of lr, so nothing is done to these.
    Of others, the parameters are put back after a step. One that divides by lr is shown an lr of 1
    for such a step.

    Args:
        optimizer: any that holds its parameters itself.
    """
    if _steps_are_multiples_of_lr(optimizer):
        return
    divides = needs_of(optimizer).divides_by_lr
    step: Any = optimizer.step

    @wraps(step.__func__)
    def still_step(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        with _held(self, divides):
            return step(*args, **kwargs)

    # Around the method, not in hooks: torch calls none after a step that raises.
    optimizer.step = MethodType(still_step, optimizer)  # type: ignore[method-assign]


@contextmanager
def _held(optimizer: torch.optim.Optimizer, divides: bool) -> Iterator[None]:
    """Put the groups with an lr of 0 back as they were, however the step ends."""
    groups = list(_resting(optimizer))
    parameters = [p for group in groups for p in group["params"]]
    before = [p.detach().clone() for p in parameters]
    if divides:
        for group in groups:
            group["lr"] = 1.0
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
        if divides:
            for group in groups:
                group["lr"] = 0.0


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
