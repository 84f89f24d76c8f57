"""State that one optimizer leaves to the next: the momentum, and Adam's squares beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum

KEEPS = ("momentum", "squares")
ADAMS = (torch.optim.Adam, torch.optim.RAdam)  # AdamW is one of the first
AVERAGES = (*ADAMS, torch.optim.NAdam, torch.optim.Adamax, Lion)
"""Those whose `exp_avg` is a running mean of gradients."""
HANDED = "handed"
"""In a parameter's state: its average began at a mean that was handed over, not at zero."""
SGDS = (torch.optim.SGD, Momentum, HeavyBall)  # NAG is one of the second


def check_keep(
    words: tuple[str, ...], before: torch.optim.Optimizer, after: torch.optim.Optimizer
) -> None:
    """Raise ValueError unless an optimizer can go on with what another leaves.

    Args:
        words: of `KEEPS`.
        before, after: the two.
    """
    names = type(before).__name__, type(after).__name__
    if "squares" in words:
        for each, name in zip((before, after), names, strict=True):
            if not isinstance(each, ADAMS):
                raise ValueError(f"{name} has no squares as Adam, AdamW and RAdam have them")
        if "momentum" not in words:
            raise ValueError("squares go with momentum; keep both")
    elif "momentum" in words:
        if not has_momentum(before):
            raise ValueError(f"{names[0]} has no momentum that another could go on with")
        if isinstance(after, (*ADAMS, torch.optim.NAdam, torch.optim.Adamax)):
            raise ValueError(
                f"{names[1]} takes its averages to begin at zero; momentum alone is nothing to it"
            )
        if not has_momentum(after):
            raise ValueError(f"{names[1]} has no momentum to go on with")


def has_momentum(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether an optimizer has a momentum whose scale is known."""
    if isinstance(optimizer, AVERAGES):
        return True
    groups = optimizer.param_groups
    return isinstance(optimizer, SGDS) and all(group["momentum"] > 0 for group in groups)


def along(optimizer: torch.optim.Optimizer) -> list[Tensor | None]:
    """Return the mean gradients that the running means of an optimizer stand for, parameter by
    parameter; None of one that was not stepped."""
    found: list[Tensor | None] = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter) if parameter.grad is not None else None
            lr = float(group["lr"])
            mean = mean_gradient(optimizer, group, parameter, state, lr) if state else None
            found.append(mean)
    return found


def running_lrs(lrs: Sequence[float], groups: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the learning rates that velocities are made with, after one more step.

    A velocity keeps the rate that each gradient came with, and so is as long as the mean of those
    tells, in which each counts as much as its gradient does in the velocity.

    Args:
        lrs: before the step, by group; empty before the first.
        groups: with what the step takes.
    """
    found = []
    for number, group in enumerate(groups):
        lr, momentum = float(group.get("lr", 0.0)), group.get("momentum")
        if lrs and isinstance(momentum, int | float):
            lr = momentum * lrs[number] + (1 - momentum) * lr
        found.append(lr)
    return found


@torch.no_grad()
def decayed(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return copies of the parameters, decayed as the next step will where that is decoupled.

    What a step makes of them beyond that is what it makes of the gradients.
    """
    found = []
    for group in optimizer.param_groups:
        decoupled = isinstance(optimizer, Lion) or group.get("decoupled_weight_decay", False)
        decay = float(group.get("weight_decay", 0.0)) if decoupled else 0.0
        shrink = 1 - float(group["lr"]) * decay
        found += [p.detach() * shrink if decay else p.detach().clone() for p in group["params"]]
    return found


@torch.no_grad()
def hand_over(
    words: tuple[str, ...],
    before: torch.optim.Optimizer,
    after: torch.optim.Optimizer,
    lrs: Sequence[float],
) -> None:
    """Give an optimizer what another leaves, for the parameters that both have.

    Momentum is handed over as the mean gradient that it stands for, on the scale of who goes on
    with it; with squares the whole state of an Adam is.

    Args:
        words: of `KEEPS`.
        before, after: the two; the groups of the second have the learning rates of its first step.
        lrs: the running means of the first's, by group.
    """
    if not words:
        return
    groups = {
        p: (group, lr)
        for group, lr in zip(before.param_groups, lrs, strict=True)
        for p in group["params"]
    }
    for group in after.param_groups:
        for parameter in group["params"]:
            state = before.state.get(parameter)
            if not state:
                continue
            if "squares" in words:
                _give_all(after, group, parameter, state)
                continue
            group_before, lr = groups[parameter]
            mean = mean_gradient(before, group_before, parameter, state, lr)
            if mean is not None:
                _give_momentum(after, group, parameter, mean)


def mean_gradient(
    optimizer: Any,
    group: Mapping[str, Any],
    parameter: Tensor,
    state: Mapping[str, Any],
    lr: float,
) -> Tensor | None:
    """Return the mean gradient that a parameter's momentum stands for; None before the first.

    Args:
        optimizer: the parameter's.
        group: the parameter's.
        parameter: it.
        state: the parameter's.
        lr: that a velocity was made with.
    """
    if isinstance(optimizer, AVERAGES):
        beta = group["betas"][1 if isinstance(optimizer, Lion) else 0]
        average: Tensor = state["exp_avg"]
        if state.get(HANDED):
            return average
        return unbiased(average, beta, state["step"])
    left = 1 - float(group["momentum"])
    if isinstance(optimizer, torch.optim.SGD):
        buffer = state.get("momentum_buffer")
        return None if buffer is None else buffer * (left / (1 - float(group["dampening"])))
    if lr == 0.0:
        return None
    if isinstance(optimizer, Momentum):
        velocity: Tensor = state["velocity"]
        return velocity * (left / lr)
    previous: Tensor = state["previous"]
    return (previous - parameter.detach().to(previous.dtype)) * (left / lr)


def unbiased(average: Tensor, beta: float, step: Any) -> Tensor | None:
    """Return a running mean that began at zero as the mean that it stands for; None before the
    first step. On a GPU, where the count may be, nobody waits: what is stepped has been, once."""
    if isinstance(step, Tensor) and step.device.type != "cpu":
        return divided(average, beta, step)
    left = beta ** float(step)
    return average / (1 - left) if left < 1 else None


def divided(average: Tensor, beta: float, step: Tensor) -> Tensor:
    """Return the same by a count that is a tensor."""
    found: Tensor = average / (1 - beta**step)
    return found


def _give_momentum(
    optimizer: Any, group: Mapping[str, Any], parameter: Tensor, mean: Tensor
) -> None:
    state = optimizer.state[parameter]
    if isinstance(optimizer, torch.optim.SGD):
        scale = (1 - float(group["dampening"])) / (1 - float(group["momentum"]))
        state["momentum_buffer"] = (mean * scale).to(parameter.dtype)
        return
    optimizer.start_state(parameter, group)
    if isinstance(optimizer, Lion):
        state["exp_avg"].copy_(mean)
        state[HANDED] = True
        return
    velocity = mean * (float(group["lr"]) / (1 - float(group["momentum"])))
    if isinstance(optimizer, Momentum):
        state["velocity"].copy_(velocity)
    else:
        state["previous"].copy_(parameter.detach()).add_(velocity)


def _give_all(
    optimizer: Any, group: Mapping[str, Any], parameter: Tensor, state: Mapping[str, Any]
) -> None:
    apart = group.get("capturable") or group.get("fused")
    own = optimizer.state[parameter]
    step = torch.tensor(float(state["step"]), dtype=torch.float32)
    own["step"] = step.to(parameter.device) if apart else step
    own["exp_avg"] = state["exp_avg"].clone()
    own["exp_avg_sq"] = state["exp_avg_sq"].clone()
    if group.get("amsgrad"):
        own["max_exp_avg_sq"] = state.get("max_exp_avg_sq", state["exp_avg_sq"]).clone()
