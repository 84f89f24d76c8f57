"""Another way for weight decay to enter than an optimizer's own."""

from __future__ import annotations

from typing import Any

import torch

from optbench.errors import UserError
from optbench.training.player import needs_closure


def set_decay(optimizer: torch.optim.Optimizer, policy: str) -> None:
    """Takes weight decay out of the optimizer's hands and does it before each of its steps.

    With `d` the weight decay of a group:

        coupled:     g     <- g + d theta                   (L2 regularisation)
        decoupled:   theta <- theta - lr d theta            (AdamW as torch has it)
        independent: theta <- theta - lr / lr_0 d theta     (Loshchilov & Hutter 2019, algorithm 2:
                     lr / lr_0 is the schedule's multiplier, so d does not depend on lr_0)

    Args:
        optimizer: any.
        policy: one of the above, or `own`, which changes nothing.

    Raises:
        UserError: `coupled` where the optimizer computes its gradients itself.
    """
    if policy == "own":
        return
    if policy == "coupled" and needs_closure(optimizer):
        raise UserError(
            f"optimizer.decay=coupled: {type(optimizer).__name__} evaluates the loss itself; "
            "use decoupled, independent or own"
        )
    for group in optimizer.param_groups:
        if "weight_decay" not in group:
            raise UserError(
                f"optimizer.decay={policy}: {type(optimizer).__name__} has no weight_decay; use own"
            )
        group["decay"], group["weight_decay"] = group["weight_decay"], 0.0
        group["decay_base_lr"] = float(group["lr"])

    @torch.no_grad()
    def before_step(optimizer: Any, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            if group["decay"]:
                _decay(group, policy)

    optimizer.register_step_pre_hook(before_step)


def _decay(group: dict[str, Any], policy: str) -> None:
    decay, lr = group["decay"], group["lr"]
    base = group["decay_base_lr"]
    shrink = 1 - decay * (lr if policy == "decoupled" else lr / base if base else 1.0)
    for parameter in group["params"]:
        if parameter.grad is None:
            continue
        if policy == "coupled":
            parameter.grad.add_(parameter, alpha=decay)
        else:
            parameter.mul_(shrink)
